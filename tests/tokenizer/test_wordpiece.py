"""WordPiece: lower case without accents, pieces from the longest, an unknown word as one token."""

from typing import Any

import pytest

from sillar.tokenizer import Tokenizer


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Sillárs!", ["▁sillar", "s", "▁!"]),
        ("unable sillar", ["▁un", "able", "▁sillar"]),
        ("xyz sillar", ["[UNK]", "▁sillar"]),
        ("", []),
    ],
)
def test_pieces(wordpiece: dict[str, Any], text: str, pieces: list[str]) -> None:
    tokens = [
        wordpiece["tokenizer.ggml.tokens"][token] for token in Tokenizer.from_metadata(wordpiece).encode(text)
    ]
    assert tokens == ["[CLS]", *pieces, "[SEP]"]


def test_control_tokens_in_text_stay_text(wordpiece: dict[str, Any]) -> None:
    tokenizer = Tokenizer.from_metadata(wordpiece)
    assert tokenizer.encode("[SEP]", add_bos=False, add_eos=False) == [1, 1, 1]
    assert tokenizer.encode("[SEP]", add_bos=False, add_eos=False, parse_special=True) == [3]
