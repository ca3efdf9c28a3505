"""Unigram: the likeliest split, SentencePiece's normalisation and its white space."""

import struct
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sillar.errors import ModelFormatError
from sillar.hub.charsmap import build_charsmap
from sillar.tokenizer import Tokenizer
from sillar.tokenizer.unigram import Normaliser
from tests.tokenizer.conftest import CONTROL, NORMAL, UNKNOWN, metadata

PIECES = [("▁", -2.0), ("▁hola", -3.0), ("▁ho", -3.5), ("la", -3.5), ("ñ", -4.0), ("1", -4.0), ("/", -5.0)]


@pytest.fixture
def unigram() -> dict[str, Any]:
    tokens = [("<s>", CONTROL, 0.0), ("<pad>", CONTROL, 0.0), ("</s>", CONTROL, 0.0), ("<unk>", UNKNOWN, 0.0)]
    tokens += [(piece, NORMAL, score) for piece, score in PIECES]
    charsmap = build_charsmap({"\t": " ", "ｈ": "h", "n\u0303": "ñ", "½": "1/2", "\u00ad": ""})
    ids = {"bos_token_id": 0, "eos_token_id": 2, "unknown_token_id": 3}
    return metadata(
        "t5", tokens, add_bos_token=True, add_eos_token=True, precompiled_charsmap=list(charsmap), **ids
    )


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("hola", ["▁hola"]),
        ("  hola \t hola ", ["▁hola", "▁hola"]),
        ("ｈola\u00ad", ["▁hola"]),
        ("n\u0303", ["▁", "ñ"]),
        ("½", ["▁", "1", "/", "<unk>"]),
        ("xyz", ["▁", "<unk>"]),
        ("<s>", ["▁", "<unk>"]),
        ("", []),
        ("   ", []),
    ],
)
def test_pieces(unigram: dict[str, Any], text: str, pieces: list[str]) -> None:
    tokens = Tokenizer.from_metadata(unigram).encode(text)
    assert tokens[0] == 0
    assert tokens[-1] == 2
    assert [unigram["tokenizer.ggml.tokens"][token] for token in tokens[1:-1]] == pieces


def test_shared_subtrees_are_read_and_cycles_refused() -> None:
    """Two keys, "ac" and "bc", whose last byte is one place of the trie; then the same with a way back."""
    units = [0] * 512
    units[0] = 256 << 10
    for byte in (b"a", b"b"):
        place = 256 ^ byte[0]
        units[place] = byte[0] | ((place ^ 0) << 10)
    units[ord("c")] = ord("c") | 0x100 | ((ord("c") ^ 128) << 10)
    units[128] = 0x80000000
    blob = struct.pack("<I512I", 2048, *units) + b"x\0"
    assert Normaliser(blob)("ac bc a b c") == "x x a b c"
    units[ord("c")] = ord("c") | (ord("c") << 10)
    with pytest.raises(ModelFormatError):
        Normaliser(struct.pack("<I512I", 2048, *units) + b"x\0")


def test_the_longest_key_is_replaced() -> None:
    normalise = Normaliser(build_charsmap({"u\u0308": "ü", "u\u0308\u0304": "ǖ", "u": "u"}))
    assert normalise("u\u0308\u0304 u\u0308 u\u0304") == "ǖ ü u\u0304"


@pytest.mark.parametrize(
    "charsmap", [[1], [255, 255, 255, 255], "text", [4, 0, 0, 0, 1, 2, 3], [8, 0, 0, 0] + [255] * 8 + [97]]
)
def test_a_broken_map_is_refused_or_empty(charsmap: Any) -> None:
    with suppress(ModelFormatError):
        assert Normaliser(charsmap)("hola") == "hola"


def likeliest(pieces: dict[str, tuple[int, float]], unknown_score: float, text: str) -> list[int]:
    """Viterbi as it is written in books; token 3 is the unknown one."""
    best: list[tuple[float, list[int]]] = [(0.0, [])]
    for end in range(1, len(text) + 1):
        chosen = (float("-inf"), [0])
        for begin in range(end):
            token, score = pieces.get(text[begin:end], (3, unknown_score if end == begin + 1 else -1e9))
            before, tokens = best[begin]
            merged = tokens if token == 3 and tokens[-1:] == [3] else [*tokens, token]
            if before + score > chosen[0]:
                chosen = (before + score, merged)
        best.append(chosen)
    return best[-1][1]


@given(
    st.dictionaries(st.text("▁añ€𝄞b", min_size=1, max_size=4), st.floats(-20, -1), min_size=1),
    st.text("añ€𝄞bxyü", max_size=12),
)
def test_the_split_is_the_likeliest_one(scores: dict[str, float], text: str) -> None:
    tokens = [("<s>", CONTROL, 0.0), ("</s>", CONTROL, 0.0), ("<pad>", CONTROL, 0.0), ("<unk>", UNKNOWN, 0.0)]
    tokens += [(piece, NORMAL, score) for piece, score in scores.items()]
    data = metadata("t5", tokens, unknown_token_id=3, add_bos_token=False, add_eos_token=False)
    pieces = {piece: (4 + i, score) for i, (piece, score) in enumerate(scores.items())}
    expected = likeliest(pieces, min(scores.values()) - 10, "▁" + text) if text else []
    assert Tokenizer.from_metadata(data).encode(text) == expected
