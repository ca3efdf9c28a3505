"""A document into chunks: within one section, between sentences, about 160 words, each with its headings
and place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial

from sillar.documents.document import Block, Chunk, Document, Place
from sillar.documents.language import detect_language
from sillar.documents.sentences import spans


@dataclass(frozen=True, slots=True)
class ChunkSize:
    """In words. A chunk is at most `most`; a section of up to `most` words stays whole."""

    target: int = 160
    most: int = 220
    characters: int = 1800
    """No chunk is longer, whatever its words are: keeps one within the embedder's 512 tokens."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """A block, or some sentences of a long one."""

    start: int
    end: int
    words: int
    block: Block


def chunk_document(document: Document, size: ChunkSize | None = None) -> list[Chunk]:
    """Chunks in reading order; their texts are slices of the document's text and do not overlap."""
    size = size or ChunkSize()
    default = cache(partial(detect_language, document.text))
    chunks: list[Chunk] = []
    for headings, blocks in _sections(document.blocks, document.text):
        pieces = [piece for block in blocks for piece in _pieces(document.text, block, size)]
        for group in _groups(pieces, size):
            chunks.append(_chunk(document.text, headings, group, default))
    return chunks


def _sections(blocks: Sequence[Block], text: str) -> Iterator[tuple[tuple[str, ...], list[Block]]]:
    """(headings path, its blocks); a heading with nothing under it yields itself as a block."""
    path: list[tuple[int, Block]] = []
    section: list[Block] = []
    for block in blocks:
        if block.kind != "heading":
            section.append(block)
            continue
        if section or (path and path[-1][0] >= block.level):
            yield _titles(path, text), section or [path[-1][1]]
        section = []
        while path and path[-1][0] >= block.level:
            path.pop()
        path.append((block.level, block))
    if section or path:
        yield _titles(path, text), section or [path[-1][1]]


def _titles(path: Sequence[tuple[int, Block]], text: str) -> tuple[str, ...]:
    return tuple(" ".join(text[block.start : block.end].split())[:160] for _, block in path)


def _pieces(text: str, block: Block, size: ChunkSize) -> Iterator[_Piece]:
    """The block itself, or its sentences (lines for code and tables) when it alone is too long for a
    chunk.
    """
    words = len(text[block.start : block.end].split())
    if words <= size.most and block.end - block.start <= size.characters:
        yield _Piece(block.start, block.end, words, block)
        return
    body = text[block.start : block.end]
    parts = _line_spans(body) if block.kind in ("code", "table") else spans(body)
    for start, end in parts:
        for left, right in _bounded(body, start, end, size.characters):
            yield _Piece(block.start + left, block.start + right, len(body[left:right].split()), block)


def _line_spans(body: str) -> Iterator[tuple[int, int]]:
    start = 0
    for line in body.split("\n"):
        if line.strip():
            yield start, start + len(line)
        start += len(line) + 1


def _bounded(body: str, start: int, end: int, most: int) -> Iterator[tuple[int, int]]:
    """Cuts a span that is longer than `most` characters at blanks, or anywhere when it has none."""
    while end - start > most:
        cut = body.rfind(" ", start + most // 2, start + most)
        cut = start + most if cut < 0 else cut
        yield start, cut
        start = cut + 1 if body[cut : cut + 1] == " " else cut
    if start < end:
        yield start, end


def _groups(pieces: Sequence[_Piece], size: ChunkSize) -> Iterator[list[_Piece]]:
    """Neighbouring pieces in groups of about equal size, as few as `most` allows near the target."""
    total = sum(piece.words for piece in pieces)
    if not pieces:
        return
    count = 1 if total <= size.most else max(2, round(total / size.target))
    share = total / count
    group: list[_Piece] = []
    words = 0
    for piece in pieces:
        span = piece.end - group[0].start if group else 0
        over = words + piece.words > size.most or span > size.characters
        if group and (over or words + piece.words / 2 > share):
            yield group
            group, words = [], 0
        group.append(piece)
        words += piece.words
    if group:
        yield group


def _chunk(
    text: str, headings: tuple[str, ...], group: Sequence[_Piece], default: Callable[[], str]
) -> Chunk:
    start, end = group[0].start, group[-1].end
    body = text[start:end]
    return Chunk(
        text=body,
        start=start,
        end=end,
        headings=headings,
        places=tuple(_places(group)),
        language=detect_language(body, "") or default(),
    )


def _places(group: Sequence[_Piece]) -> Iterator[Place]:
    """Where the pieces of a chunk stand, each place once."""
    before: Place | None = None
    for piece in group:
        places = piece.block.places
        begun = [place for place in places if place.offset <= piece.start]
        later = [place for place in places if piece.start < place.offset < piece.end]
        for place in [begun[-1]._replace(offset=piece.start), *later]:
            if before is None or place[1:] != before[1:]:
                yield place
                before = place
