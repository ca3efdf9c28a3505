"""Small made-up vocabularies of each kind, as the metadata of a GGUF would hold them."""

from typing import Any

import pytest

from sillar.tokenizer.byte_level import byte_alphabet

NORMAL, UNKNOWN, CONTROL, USER, UNUSED, BYTE = 1, 2, 3, 4, 5, 6


def metadata(model: str, tokens: list[tuple[str, int, float]], **keys: Any) -> dict[str, Any]:
    texts, types, scores = zip(*tokens, strict=True)
    return {
        "tokenizer.ggml.model": model,
        "tokenizer.ggml.tokens": list(texts),
        "tokenizer.ggml.token_type": list(types),
        "tokenizer.ggml.scores": list(scores),
        **{f"tokenizer.ggml.{key}": value for key, value in keys.items()},
    }


@pytest.fixture
def byte_level() -> dict[str, Any]:
    """All 256 bytes, a few merges, an added token and ChatML's control tokens."""
    tokens = [("<|endoftext|>", CONTROL, 0.0), ("<|im_start|>", CONTROL, 0.0), ("<|im_end|>", CONTROL, 0.0)]
    tokens += [(character, NORMAL, 0.0) for character in byte_alphabet()]
    merges = ["h e", "l l", "he ll", "hell o", "Ġ w", "Ã ±", "< |"]
    tokens += [(merge.replace(" ", ""), NORMAL, 0.0) for merge in merges]
    tokens += [("<tool>", USER, 0.0)]
    return metadata(
        "gpt2", tokens, pre="qwen2", merges=merges, bos_token_id=0, eos_token_id=2, add_bos_token=False
    )


@pytest.fixture
def sentencepiece() -> dict[str, Any]:
    """Llama 2's layout: unknown, bos, eos, 256 bytes, then pieces with falling scores."""
    tokens = [("<unk>", UNKNOWN, 0.0), ("<s>", CONTROL, 0.0), ("</s>", CONTROL, 0.0)]
    tokens += [(f"<0x{byte:02X}>", BYTE, 0.0) for byte in range(256)]
    pieces = ["▁t", "er", "in", "▁a", "he", "aa", "▁the", "aaa", "▁▁", "aaaa", "▁▁▁▁", "<s", "s>"]
    pieces += ["▁", *"abcdefghijklmnopqrstuvwxyz<>/ñ."]
    tokens += [(piece, NORMAL, -float(rank)) for rank, piece in enumerate(pieces)]
    return metadata("llama", tokens, bos_token_id=1, eos_token_id=2, unknown_token_id=0)


@pytest.fixture
def wordpiece() -> dict[str, Any]:
    tokens = [
        ("[PAD]", CONTROL, 0.0),
        ("[UNK]", CONTROL, 0.0),
        ("[CLS]", CONTROL, 0.0),
        ("[SEP]", CONTROL, 0.0),
    ]
    tokens += [(piece, NORMAL, 0.0) for piece in ("▁sillar", "▁un", "able", "▁!", "s")]
    return metadata(
        "bert", tokens, unknown_token_id=1, cls_token_id=2, seperator_token_id=3, token_type_count=2
    )
