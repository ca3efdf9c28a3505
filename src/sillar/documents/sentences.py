"""Splits text into sentences with offsets, English and Spanish, with care for abbreviations and lists."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sillar.documents.word_lists import ABBREVIATIONS

_BOUNDARY = re.compile(
    r"[.!?…]+[\"'”’»)\]]*(?=\s+[\"'“‘«(\[¿¡]*[\w])|\n{2,}|(?<=[:;])\n|\n(?=\s*(?:[-*•]|\d+[.)])\s)"
)
_LAST_WORD = re.compile(r"([^\s(\[\"'“«]+)$")


def spans(text: str) -> Iterator[tuple[int, int]]:
    """(start, end) of each sentence, without surrounding blanks, in order."""
    start = 0
    for match in _BOUNDARY.finditer(text):
        if match.group()[0] == "." and not _ends_sentence(text, match):
            continue
        yield from _trimmed(text, start, match.end())
        start = match.end()
    yield from _trimmed(text, start, len(text))


def _trimmed(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    piece = text[start:end]
    left = start + len(piece) - len(piece.lstrip())
    right = end - (len(piece) - len(piece.rstrip()))
    if left < right:
        yield left, right


def _ends_sentence(text: str, match: re.Match[str]) -> bool:
    """A full stop after an abbreviation or an initial, or before a lower-case word, ends nothing."""
    following = text[match.end() :].lstrip()[:2].lstrip("\"'“‘«([¿¡")
    if following[:1].islower():
        return False
    word = _LAST_WORD.search(text[max(0, match.start() - 24) : match.start()])
    if word is None:
        return True
    token = word.group(1).lower().rstrip(".")
    if token in ABBREVIATIONS:
        return False
    return not (len(token) == 1 and token.isalpha() and word.group(1).isupper())
