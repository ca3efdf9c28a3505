"""Running headers and footers of a PDF: lines in the margins that repeat, and what else stands in their place
on other pages, such as the name of each section.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sillar.documents.ingest.pdf_lines import Line, in_margin

_NEAR = 2.0
"""Points between the baselines of lines that stand in the same place."""
_APART = 0.45
"""Of a line's height: the blank between a running line and the text, at least."""
_LARGER = 1.12
"""Than the text's type: titles of slides are, running lines are not."""
_MIN_PAGES = 3
_MIN_SHARE = 0.04
_SHAPE = re.compile(r"\d+|\b[ivxlc]+\b")


@dataclass(frozen=True, slots=True)
class Running:
    """What repeats, and the place of headers and footers: their height over the page's foot, points."""

    shapes: frozenset[str]
    head: float | None
    foot: float | None
    size: float
    """The text's type."""


def find_running(pages: Sequence[Sequence[Line]], size: float) -> Running:
    """The running lines of a document; `size`: its text's type."""
    shapes: Counter[str] = Counter()
    for page in pages:
        shapes.update({_shape(line.text) for line in page if in_margin(line)})
    needed = max(_MIN_PAGES, _MIN_SHARE * len(pages))
    repeated = frozenset(shape for shape, count in shapes.items() if count >= needed)
    heads: Counter[float] = Counter()
    feet: Counter[float] = Counter()
    for page in pages:
        for line, place in zip(_outermost(page), (heads, feet), strict=False):
            if in_margin(line) and _shape(line.text) in repeated:
                place[round(line.box[1])] += 1
    tops = [y for y, count in heads.items() if count >= needed]
    bottoms = [y for y, count in feet.items() if count >= needed]
    return Running(repeated, max(tops, default=None), min(bottoms, default=None), size)


def _outermost(page: Sequence[Line]) -> tuple[Line, ...]:
    """The lines of a page that stand highest and lowest, one each."""
    return (max(page, key=_foot), min(page, key=_foot)) if page else ()


def _foot(line: Line) -> float:
    return line.box[1]


def without_running(page: Sequence[Line], running: Running) -> list[Line]:
    """The lines of a page that are its own."""
    kept = [line for line in page if not (in_margin(line) and _shape(line.text) in running.shapes)]
    text = [line for line in kept if not _in_place(line, running)]
    return [line for line in kept if not (_in_place(line, running) and _is_apart(line, text))]


def _in_place(line: Line, running: Running) -> bool:
    """Whether a line stands where running lines do, or beyond, in type that is no title's."""
    if line.table is not None or not in_margin(line) or line.size > _LARGER * running.size:
        return False
    if _is_foot(line):
        return running.foot is not None and _foot(line) <= running.foot + _NEAR
    return running.head is not None and _foot(line) >= running.head - _NEAR


def _is_apart(line: Line, text: Sequence[Line]) -> bool:
    """Whether no line of the text stands close to it."""
    _, bottom, _, top = line.box
    least = _APART * max(top - bottom, 1.0)
    return all(max(bottom - other.box[3], other.box[1] - top) > least for other in text)


def _is_foot(line: Line) -> bool:
    return line.box[1] < line.page_height / 2


def _shape(text: str) -> str:
    """A line with its digits levelled, so that page numbers repeat."""
    return _SHAPE.sub("#", " ".join(text.casefold().split()))
