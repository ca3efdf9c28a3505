"""Every golden token list of llama.cpp for the supported vocabularies, and long hostile texts on them."""

from functools import cache

import pytest

from sillar.errors import ModelUnsupportedError
from sillar.tokenizer import IncrementalDecoder, Tokenizer
from tests.packages import llama_cpp_models
from tests.tokenizer.gguf_metadata import read_metadata

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

LOSSLESS = [
    *("command-r", "deepseek-coder", "deepseek-llm", "falcon", "gpt-2", "llama-bpe", "llama-spm", "mpt"),
    *("phi-3", "qwen2", "qwen35", "refact", "starcoder"),
]
WITHOUT_LIST = ["aquila", "baichuan", "gpt-neox", "nomic-bert-moe"]
SEPARATOR = "\n__ggml_vocab_test__\n"


@cache
def tokenizer_of(name: str) -> Tokenizer:
    return Tokenizer.from_metadata(read_metadata(llama_cpp_models() / f"ggml-vocab-{name}.gguf"))


def cases(name: str) -> list[tuple[str, list[int]]]:
    texts = (llama_cpp_models() / f"ggml-vocab-{name}.gguf.inp").read_bytes().decode().split(SEPARATOR)
    lines = (llama_cpp_models() / f"ggml-vocab-{name}.gguf.out").read_text().split("\n")
    return [(text, [int(token) for token in line.split()]) for text, line in zip(texts, lines, strict=False)]


@pytest.mark.parametrize("name", [*LOSSLESS, "bert-bge"])
def test_token_lists(name: str) -> None:
    tokenizer = tokenizer_of(name)
    found = cases(name)
    assert len(found) >= 47
    for text, tokens in found:
        assert tokenizer.encode(text, add_bos=False, add_eos=False) == tokens, text


@pytest.mark.parametrize("name", LOSSLESS)
def test_round_trips(name: str) -> None:
    tokenizer = tokenizer_of(name)
    for text, _ in cases(name):
        tokens = tokenizer.encode(text)
        assert tokenizer.decode(tokens) == text
        decoder = IncrementalDecoder(tokenizer)
        shown = "".join(decoder.push(token) for token in tokens) + decoder.flush()
        assert shown in (text, " " + text)


@pytest.mark.parametrize("name", [*LOSSLESS, *WITHOUT_LIST])
def test_control_tokens_only_when_asked(name: str) -> None:
    tokenizer = tokenizer_of(name)
    for text, token in tokenizer.control_texts.items():
        plain = tokenizer.encode(f"a{text}b", add_bos=False, add_eos=False)
        assert not any(map(tokenizer.is_control, plain)), text
        assert token in tokenizer.encode(f"a{text}b", add_bos=False, add_eos=False, parse_special=True)


@pytest.mark.parametrize("name", [*LOSSLESS, "bert-bge", "nomic-bert-moe"])
@pytest.mark.parametrize("unit", ["a", " ", "\n", "<", "<|", "我", "😁", "1", "\u0301", " \n", "=", "'"])
def test_long_texts_end(name: str, unit: str) -> None:
    """100,000 characters without a place to cut: a quadratic step would run into the timeout."""
    text = unit * (100_000 // len(unit)) + "x"
    tokens = tokenizer_of(name).encode(text)
    assert len(tokens) <= 4 * len(text)


def test_an_unsupported_vocabulary_says_so() -> None:
    with pytest.raises(ModelUnsupportedError, match="gemma4"):
        tokenizer_of("gemma-4")
