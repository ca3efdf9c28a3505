"""Cuts a text at the tokens that are matched whole: added tokens always, control tokens only when asked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping


class TokenMatcher:
    """Finds given texts in a longer one: leftmost first, then the longest.

    One dictionary look-up for each place where some token may begin and each length that it may have, so the
    time grows with the text and not with the number of tokens.
    """

    def __init__(self, ids: Mapping[str, int]) -> None:
        self._ids = dict(ids)
        lengths: dict[str, set[int]] = {}
        for text in self._ids:
            lengths.setdefault(text[0], set()).add(len(text))
        self._lengths = {first: sorted(found, reverse=True) for first, found in lengths.items()}
        starts = "".join(re.escape(first) for first in self._lengths)
        self._start = re.compile(f"[{starts}]") if starts else None

    def split(self, text: str) -> Iterator[str | int]:
        """The text's parts in order: plain text as str (never empty), matched tokens as their id."""
        if self._start is None:
            if text:
                yield text
            return
        plain, at = 0, 0
        while (match := self._start.search(text, at)) is not None:
            begin = match.start()
            end, token = self._longest(text, begin)
            if token is None:
                at = begin + 1
                continue
            if begin > plain:
                yield text[plain:begin]
            yield token
            plain = at = end
        if plain < len(text):
            yield text[plain:]

    def _longest(self, text: str, begin: int) -> tuple[int, int | None]:
        for length in self._lengths[text[begin]]:
            token = self._ids.get(text[begin : begin + length])
            if token is not None:
                return begin + length, token
        return begin, None
