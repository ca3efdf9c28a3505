"""What the documents side passes around: a parsed document's blocks, its chunks, and passages found by a
search.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from sillar.errors import DocumentError

BlockKind = Literal["heading", "paragraph", "list", "code", "table"]
Box = tuple[float, float, float, float]
"""left, bottom, right, top in PDF points."""
Turn = tuple[int, int]
"""An offset in a document's text, and the page that begins there, counted from 1."""

MAX_TEXT = 20_000_000
"""Characters of text in one document, at most."""
SEPARATOR = "\n\n"


class Place(NamedTuple):
    """Where a document's text stands in its file, from `offset` on until the next place begins."""

    offset: int
    page: int | None
    """Counted from 1."""
    lines: tuple[int, int] | None
    """First and last line, counted from 1."""


class Where(NamedTuple):
    """The pages and lines of a piece of text; None where its file has none."""

    page: int | None
    last_page: int | None
    lines: tuple[int, int] | None


def locate(places: Sequence[Place], start: int, end: int) -> Where:
    """Where `text[start:end]` stands. `places`: in the order of their offsets."""
    first = max(0, bisect_right(places, start, key=_offset) - 1)
    among = places[first : max(first + 1, bisect_left(places, end, key=_offset))]
    pages = [place.page for place in among if place.page is not None]
    lines = [line for place in among for line in place.lines or ()]
    return Where(
        pages[0] if pages else None, pages[-1] if pages else None, (min(lines), max(lines)) if lines else None
    )


def _offset(place: Place) -> int:
    return place.offset


@dataclass(frozen=True, slots=True)
class Block:
    """One heading, paragraph, list item, code or table: `text[start:end]` of its document."""

    kind: BlockKind
    start: int
    end: int
    level: int = 0
    """1..6 of a heading, 0 otherwise."""
    page: int | None = None
    """First page, counted from 1."""
    turns: tuple[Turn, ...] = ()
    """Where its further pages begin."""
    lines: tuple[int, int] | None = None
    """First and last line in the source file, counted from 1."""
    box: Box | None = None

    @property
    def places(self) -> list[Place]:
        """Its own, and one more for each further page."""
        return [Place(offset, page, self.lines) for offset, page in ((self.start, self.page), *self.turns)]


@dataclass(frozen=True, slots=True)
class Document:
    """The canonical text of a file and its structure. Offsets everywhere are characters of `text`."""

    text: str
    blocks: Sequence[Block]
    title: str = ""
    media_type: str = "text/plain"
    pages: int = 0
    notes: Sequence[str] = ()
    """What a reader should know: parts that could not be read, and why."""
    unread: Sequence[int] = ()
    """Pages that are pictures without text, counted from 1."""

    def to_json(self) -> dict[str, Any]:
        """A plain form that crosses the process boundary."""
        rows = [[b.kind, b.start, b.end, b.level, b.page, b.turns, b.lines, b.box] for b in self.blocks]
        return {"text": self.text, "title": self.title, "media_type": self.media_type,
                "unread": list(self.unread),
                "pages": self.pages, "blocks": rows, "notes": list(self.notes)}  # fmt: skip

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Document:
        """The inverse of to_json; raises DocumentError when offsets lie outside the text."""
        text = data["text"]
        blocks = []
        for kind, start, end, level, page, turns, lines, box in data["blocks"]:
            if not 0 <= start <= end <= len(text):
                raise DocumentError("The parser reported a block outside the text.")
            blocks.append(Block(kind, start, end, level, page, _turns(turns),
                                tuple(lines) if lines else None, tuple(box) if box else None))  # fmt: skip
        notes = tuple(str(note) for note in data["notes"])
        return cls(
            text, blocks, data["title"], data["media_type"], data["pages"], notes, tuple(data["unread"])
        )


@dataclass(slots=True)
class DocumentBuilder:
    """Collects blocks in reading order and keeps their offsets."""

    media_type: str = "text/plain"
    title: str = ""
    pages: int = 0
    notes: list[str] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    length: int = 0

    def add(
        self,
        kind: BlockKind,
        text: str,
        *,
        level: int = 0,
        page: int | None = None,
        turns: Iterable[Turn] = (),
        lines: tuple[int, int] | None = None,
        box: Box | None = None,
    ) -> None:
        """Appends a block; blank text is ignored. `turns`: their offsets are those of `text`. Raises
        DocumentError above MAX_TEXT characters.
        """
        given = text
        text = text.strip("\n") if kind == "code" else text.strip()
        if not text.strip():
            return
        start = self.length + (len(SEPARATOR) if self.parts else 0)
        end = start + len(text)
        if end > MAX_TEXT:
            raise DocumentError(f"It holds more than {MAX_TEXT:,} characters of text.", "too_large")
        self.parts.append(text)
        self.length = end
        shift = start - given.index(text)
        placed = tuple((shift + offset, turned) for offset, turned in turns)
        self.blocks.append(Block(kind, start, end, level, page, placed, lines, box))
        if kind == "heading" and not self.title:
            self.title = text[:200]

    def drop_last(self) -> None:
        """Takes the last block back: a heading that turned out to head nothing."""
        block = self.blocks.pop()
        text = self.parts.pop()
        self.length = max(0, block.start - len(SEPARATOR))
        if self.title == text[:200]:
            self.title = ""

    def extend(self, document: Document, *, deeper: int = 0, place: bool = True) -> None:
        """Appends another document's blocks, headings `deeper` levels down. `place`: pages and lines stay."""
        for b in document.blocks:
            text = document.text[b.start : b.end]
            level = min(6, b.level + deeper) if b.level else 0
            if place:
                turns = [(offset - b.start, page) for offset, page in b.turns]
                self.add(b.kind, text, level=level, page=b.page, turns=turns, lines=b.lines, box=b.box)
            else:
                self.add(b.kind, text, level=level)
        self.notes += document.notes

    def build(self) -> Document:
        """The document so far."""
        text = SEPARATOR.join(self.parts)
        return Document(text, self.blocks, self.title, self.media_type, self.pages, tuple(self.notes))


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a document that is embedded and found on its own: `text == document.text[start:end]`."""

    text: str
    start: int
    end: int
    headings: tuple[str, ...]
    """The headings above it, outermost first."""
    places: tuple[Place, ...]
    """In the order of their offsets; the first begins where the text does."""
    language: str

    def contextual(self, title: str) -> str:
        """The text as it is embedded: what it belongs to, then what it says."""
        return in_context(title, self.headings, self.text)


def in_context(title: str, headings: Sequence[str], text: str) -> str:
    """A text below the path of what it belongs to."""
    path = list(dict.fromkeys(part for part in (title, *headings) if part))
    return f"{' > '.join(path)[-240:]}\n{text}" if path else text


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk as a search found it, with where it came from and how well it matched."""

    chunk_id: int
    document_id: int
    document: str
    """Path relative to its source."""
    title: str
    headings: tuple[str, ...]
    text: str
    start: int
    end: int
    places: tuple[Place, ...]
    """In the order of their offsets; the first begins where the text does."""
    language: str
    score: float
    """Fused, 0..1: comparable within one search."""
    similarity: float
    """Cosine of question and chunk."""
    bm25: float
    """0 or more; higher is better."""

    @property
    def section(self) -> str:
        """The headings path as one line."""
        return " > ".join(self.headings)

    @property
    def page(self) -> int | None:
        """The page that it begins on."""
        return self.places[0].page if self.places else None


def _turns(rows: Iterable[Sequence[int]]) -> tuple[Turn, ...]:
    return tuple((int(offset), int(page)) for offset, page in rows)
