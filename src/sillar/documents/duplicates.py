"""Passages that say what a better one says, found by the word trigrams that they share."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sillar.documents.document import Passage
from sillar.documents.language import trigrams

Trigrams = set[tuple[str, ...]]


def fold(
    passages: Sequence[Passage], alike: Callable[[Trigrams, Trigrams], bool], most: int
) -> list[Passage]:
    """The first `most` of the passages (best first) that are not `alike` a better one that was kept."""
    kept: list[Passage] = []
    seen: list[Trigrams] = []
    for passage in passages:
        if len(kept) == most:
            break
        grams = trigrams(passage.text)
        if not any(alike(grams, other) for other in seen):
            kept.append(passage)
            seen.append(grams)
    return kept
