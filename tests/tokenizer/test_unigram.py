"""Unigram: the likeliest split, SentencePiece's normalisation and its white space."""

import struct
from contextlib import suppress
from typing import Any

import pytest

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
