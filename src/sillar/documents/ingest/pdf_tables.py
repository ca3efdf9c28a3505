"""Tables of a PDF page by their rulings: horizontal and vertical lines that touch make a grid, and the
text inside each of its cells is a cell. Tables without vertical rulings: see pdf_columns.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium

from sillar.documents.document import Box

_THIN = 3.0
"""Points: a drawn path this thin is a ruling."""
_NEAR = 3.5
"""Points between rulings that still touch."""
_MAX_RULINGS = 4_000
_MAX_CELLS = 4_000
_LEAST_FILLED = 0.5
"""Share of cells that hold text; drawings have fewer."""


@dataclass(frozen=True, slots=True)
class PdfTable:
    """A grid of cells, rows from top to bottom, with each row's box."""

    box: Box
    rows: Sequence[Sequence[str]]
    boxes: Sequence[Box]
    columns: Sequence[float]
    """Where the columns begin and end, points from the left."""
    header: bool | None = None
    """Whether its first row names the columns; None where that is not known."""
    gaps: Sequence[tuple[float, float]] = ()
    """What its rows leave free between the columns, where no rulings part them."""
    continues: bool = False
    """Whether it goes on with the last table of the page before."""


def page_rulings(page: Any) -> list[Box]:
    """Thin paths, and the four edges of boxes that are no larger than a table's cell may be; none where
    something cannot be read.
    """
    try:
        return _rulings(page)
    except pypdfium2.PdfiumError:
        return []


def ruled_tables(rulings: Sequence[Box], text_page: Any) -> list[PdfTable]:
    """The tables that rulings make, from top to bottom."""
    found = []
    for group in _touching(rulings):
        table = _table(group, text_page)
        if table is not None:
            found.append(table)
    found.sort(key=lambda table: -table.box[3])
    return found


def _rulings(page: Any) -> list[Box]:
    width, height = page.get_size()
    lines: list[Box] = []
    for number, item in enumerate(page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_PATH], max_depth=3)):
        if number > _MAX_RULINGS or len(lines) > _MAX_RULINGS:
            return []
        left, bottom, right, top = item.get_bounds() if hasattr(item, "get_bounds") else item.get_pos()
        across, up = right - left, top - bottom
        if min(across, up) <= _THIN:
            if max(across, up) > 2 * _THIN:
                lines.append((left, bottom, right, top))
        elif across < 0.98 * width and up < 0.5 * height and up > 2 * _THIN:
            lines += [(left, bottom, right, bottom), (left, top, right, top),
                      (left, bottom, left, top), (right, bottom, right, top)]  # fmt: skip
    return lines


def _touching(lines: Sequence[Box]) -> Iterator[list[Box]]:
    """Groups of rulings that are connected."""
    order = sorted(range(len(lines)), key=lambda i: -lines[i][3])
    parent = list(range(len(lines)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    active: list[int] = []
    for i in order:
        left, _, right, top = lines[i]
        active = [j for j in active if lines[j][1] - _NEAR <= top]
        for j in active:
            other = lines[j]
            if left <= other[2] + _NEAR and other[0] <= right + _NEAR:
                parent[root(i)] = root(j)
        active.append(i)
    groups: dict[int, list[Box]] = {}
    for i in order:
        groups.setdefault(root(i), []).append(lines[i])
    yield from (group for group in groups.values() if len(group) >= 4)


def _table(lines: Sequence[Box], text_page: Any) -> PdfTable | None:
    """The grid that rulings span, if it is one: two rows and columns at least, most cells filled."""
    level = [line for line in lines if line[3] - line[1] <= _THIN < line[2] - line[0]]
    upright = [line for line in lines if line[2] - line[0] <= _THIN < line[3] - line[1]]
    if len(level) < 2 or not upright:
        return None
    ends = [min(line[0] for line in level), max(line[2] for line in level)]
    columns = _merged([*ends, *((line[0] + line[2]) / 2 for line in upright)])
    tops = [min(line[1] for line in lines), max(line[3] for line in lines)]
    rows = _merged([*tops, *((line[1] + line[3]) / 2 for line in level)])[::-1]
    if len(columns) < 3 or len(rows) < 3 or len(columns) * len(rows) > _MAX_CELLS:
        return None
    # Inner columns of a table run along most of its height; strokes of a drawing do not.
    height = rows[0] - rows[-1]
    for x in columns[1:-1]:
        run = sum(line[3] - line[1] for line in upright if abs((line[0] + line[2]) / 2 - x) <= _NEAR)
        if run < 0.5 * height:
            return None
    texts, boxes = [], []
    for top, bottom in pairwise(rows):
        cells = [_cell(text_page, left, bottom, right, top) for left, right in pairwise(columns)]
        if any(cells):
            texts.append(cells)
            boxes.append((round(columns[0], 1), round(bottom, 1), round(columns[-1], 1), round(top, 1)))
    filled = sum(1 for row in texts for cell in row if cell)
    if len(texts) < 2 or filled < _LEAST_FILLED * len(texts) * (len(columns) - 1):
        return None
    return PdfTable((columns[0], rows[-1], columns[-1], rows[0]), texts, boxes, columns)


def _merged(values: Sequence[float]) -> list[float]:
    """Sorted, with those that are nearly the same taken as one."""
    merged: list[float] = []
    for value in sorted(values):
        if not merged or value - merged[-1] > _NEAR:
            merged.append(value)
    return merged


def _cell(text_page: Any, left: float, bottom: float, right: float, top: float) -> str:
    text = text_page.get_text_bounded(left + 0.5, bottom + 0.5, right - 0.5, top - 0.5)
    return str(text)
