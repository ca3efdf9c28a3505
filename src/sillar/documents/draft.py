"""The text of an answer as it grows: each piece ends in the number of the passage that supports it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sillar.documents.document import Passage, locate
from sillar.documents.grounding import GroundedSentence, strip_markers
from sillar.documents.language import words
from sillar.documents.support import Sentence

_NEAREST = 3


@dataclass(frozen=True, slots=True)
class Citation:
    """Where a sentence of the answer stands: `quote` is `[start:end]` of the document's text."""

    number: int
    document_id: int
    document: str
    page: int | None
    last_page: int | None
    """`page`, unless the quote goes over a page break."""
    section: str
    lines: tuple[int, int] | None
    quote: str
    start: int
    end: int
    score: float

    def to_json(self) -> dict[str, Any]:
        return {"number": self.number, "document_id": self.document_id,
                "document": self.document, "page": self.page, "last_page": self.last_page,
                "section": self.section, "lines": self.lines, "quote": self.quote,
                "start": self.start, "end": self.end,
                "score": round(self.score, 4)}  # fmt: skip


class Draft:
    """Collects pieces of text and their citations, numbered in the order in which they appear."""

    def __init__(self, chosen: Sequence[Sentence]) -> None:
        """`chosen`: sentences of one passage, in a row, that answer."""
        self.citations: list[Citation] = []
        self.chosen = chosen
        self._pieces: list[str] = []
        self._quoted: set[str] = set()

    @property
    def text(self) -> str:
        """Everything so far."""
        return "".join(self._pieces)

    def quote(self) -> str:
        """The chosen sentences, verbatim but for foreign markers; the piece that was added."""
        quote = _span(self.chosen)
        self._quoted = set(words(quote))
        return self._add(strip_markers(quote), self.chosen)

    def add(self, sentence: GroundedSentence) -> str:
        """A generated sentence that is supported; "" where the quote says it in the same words."""
        said = set(words(sentence.text))
        if said and said == self._quoted:
            return ""
        sources = self.chosen if sentence.source in self.chosen else [sentence.source]
        return self._add(sentence.text, sources)

    def _add(self, text: str, sources: Sequence[Sentence]) -> str:
        piece = f"{text} [{self._cite(sources)}]"
        if self._pieces:
            piece = f"\n\n{piece}"
        self._pieces.append(piece)
        return piece

    def _cite(self, sources: Sequence[Sentence]) -> int:
        passage = sources[0].passage
        start = passage.start + sources[0].start
        for known in self.citations:
            if (known.document_id, known.start) == (passage.document_id, start):
                return known.number
        self.citations.append(_citation(len(self.citations) + 1, sources))
        return len(self.citations)


def nearest(passages: Sequence[Passage], sentences: Sequence[Sentence]) -> tuple[Citation, ...]:
    """Where to look when nothing answers: the first passages by the best of their `sentences`, best first."""
    best: dict[int, Sentence] = {}
    for sentence in sentences:
        best.setdefault(sentence.passage.chunk_id, sentence)
    found = [best[passage.chunk_id] for passage in passages if passage.chunk_id in best]
    return tuple(_citation(number, [sentence]) for number, sentence in enumerate(found[:_NEAREST], 1))


def _citation(number: int, sources: Sequence[Sentence]) -> Citation:
    passage = sources[0].passage
    start, end = passage.start + sources[0].start, passage.start + sources[-1].end
    where = locate(passage.places, start, end)
    return Citation(number, passage.document_id, passage.document, where.page, where.last_page,
                    passage.section or passage.title, where.lines, _span(sources), start, end,
                    passage.score)  # fmt: skip


def _span(sentences: Sequence[Sentence]) -> str:
    return sentences[0].passage.text[sentences[0].start : sentences[-1].end]
