"""What of the passages stands in a prompt: near-copies left out, neighbours joined in reading order."""

from __future__ import annotations

from collections.abc import Sequence

from sillar.documents.document import Passage
from sillar.documents.duplicates import fold

_CONTAINED = 0.8
"""Share of a passage's trigrams in a better one from which it would say nothing new."""
_GAP = 4
"""Characters between two chunks of a section that follow each other: blanks, at most."""


def without_copies(passages: Sequence[Passage]) -> list[Passage]:
    """The passages (best first) that say something which no better one says."""
    return fold(passages, lambda own, better: len(own & better) >= _CONTAINED * len(own), len(passages))


def join_neighbours(passages: Sequence[Passage]) -> list[list[Passage]]:
    """Groups of passages that follow each other in one section, each in reading order.

    A group stands where its best passage stood; `passages` are best first.
    """
    groups: list[list[Passage]] = []
    for passage in passages:
        near = [group for group in groups if _adjoins(group, passage)]
        if not near:
            groups.append([passage])
            continue
        first, *others = near  # two, where the passage fills the gap between them
        first.append(passage)
        for other in others:
            first += other
            groups.remove(other)
        first.sort(key=lambda member: member.start)
    return groups


def _adjoins(group: Sequence[Passage], passage: Passage) -> bool:
    first, last = group[0], group[-1]
    if (first.document_id, first.headings) != (passage.document_id, passage.headings):
        return False
    return 0 <= passage.start - last.end <= _GAP or 0 <= first.start - passage.end <= _GAP
