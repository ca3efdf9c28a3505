"""Tables of a PDF page without vertical rulings: columns that stay apart over rows, under a row that names
them. Two columns of prose, lists, listings and tables of contents stay lines of text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from sillar.documents.document import Box
from sillar.documents.ingest.pdf_tables import PdfTable
from sillar.documents.ingest.tables import looks_like_header

_CELL_GAP = 0.75
"""Of a line's height: a blank this wide may part two cells."""
_COLUMN_GAP = 0.45
"""Of a line's height: what has to stay free between two columns in every row."""
_ROW_GAP = 2.0
"""Of a line's height: rows further apart are not of one table."""
_LEAST_ROWS = 3
_HEAD_ROWS = 3
"""A table that goes on begins in one of a page's first rows: a running header may stand above."""
_SAME = 3.0
"""Points between the edges of a column on two pages."""
_NARROW = 3.0
"""Words: one column at least has no more in a cell, on average; columns of prose have."""
_MAX_WORDS = 20_000
_BOLD = 600
_DATUM = re.compile(r"[-+(~<>≤≥€$£]*\d\S*(?:\s\S{1,6})?|[-–—]|yes|no|sí", re.I)
"""A cell of data: a number, a date, a sum, with a unit."""
_MARKER = re.compile(r"\(?(?:\d{1,3}|[a-z])[.)]|[•◦▪‣∙●○·–*-]")
_LEADERS = re.compile(r"\.{4,}|(?:\.\s){3,}")

Gap = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Word:
    """A word with its box in points and its font's weight."""

    text: str
    box: Box
    weight: int = 0


@dataclass(slots=True)
class _Row:
    """The words at one height of the page, from the left."""

    words: list[Word]
    bottom: float
    top: float

    @property
    def height(self) -> float:
        return self.top - self.bottom

    def gaps(self) -> list[Gap]:
        """The wide blanks between words."""
        found = []
        right = self.words[0].box[2]
        for word in self.words[1:]:
            if word.box[0] - right >= _CELL_GAP * self.height:
                found.append((right, word.box[0]))
            right = max(right, word.box[2])
        return found


def aligned_tables(words: Sequence[Word], rulings: Sequence[Box], taken: Sequence[Box]) -> list[PdfTable]:
    """The tables of a page, from top to bottom. `taken`: where tables are known already."""
    if len(words) > _MAX_WORDS:
        return []
    rows = _rows([word for word in words if not any(_inside(word.box, box) for box in taken)])
    tables = []
    begin = 0
    while begin < len(rows):
        run, gaps = _run(rows, begin)
        table = _table(run, gaps, rulings)
        if table is not None:
            tables.append(table)
        begin += len(run) if table is not None else 1
    return tables


def continued_table(words: Sequence[Word], taken: Sequence[Box], before: PdfTable) -> PdfTable | None:
    """The table that goes on at the head of a page with `before`, the last one of the page before.

    Its rows leave the same columns apart, and each column ends or begins where it did.
    """
    if not before.gaps or len(words) > _MAX_WORDS:
        return None
    rows = _rows([word for word in words if not any(_inside(word.box, box) for box in taken)])
    for begin in range(min(_HEAD_ROWS, len(rows))):
        run, gaps = _run(rows, begin, before.gaps)
        if len(run) < 2 or not gaps or len({_place(word, gaps) for word in run[0].words}) < 2:
            continue
        columns = _edges(run, gaps)
        texts, boxes = _cells(run, gaps, columns)
        whole = len(texts) > 1 and all(any(column) for column in zip(*texts, strict=True))
        if whole and _same_columns(before, run, gaps):
            return PdfTable((columns[0], boxes[-1][1], columns[-1], boxes[0][3]), texts, boxes, columns,
                            header=False, gaps=gaps, continues=True)  # fmt: skip
    return None


def _same_columns(before: PdfTable, run: Sequence[_Row], gaps: Sequence[Gap]) -> bool:
    """Whether every column begins, or ends, where it did on the page before."""
    lefts = [before.columns[0], *(gap[1] for gap in before.gaps)]
    rights = [*(gap[0] for gap in before.gaps), before.columns[-1]]
    words = [word for row in run for word in row.words]
    for column, (left, right) in enumerate(zip(lefts, rights, strict=True)):
        boxes = [word.box for word in words if _place(word, gaps) == column]
        begins, ends = min(box[0] for box in boxes), max(box[2] for box in boxes)
        if min(abs(begins - left), abs(ends - right)) > _SAME:
            return False
    return True


def _inside(word: Box, box: Box) -> bool:
    x, y = (word[0] + word[2]) / 2, (word[1] + word[3]) / 2
    return box[0] <= x <= box[2] and box[1] <= y <= box[3]


def _rows(words: Sequence[Word]) -> list[_Row]:
    rows: list[_Row] = []
    for word in sorted(words, key=lambda w: -(w.box[1] + w.box[3])):
        _, bottom, _, top = word.box
        if rows and (top + bottom) / 2 > rows[-1].bottom + 0.25 * rows[-1].height:
            rows[-1].words.append(word)
        else:
            rows.append(_Row([word], bottom, top))
    for row in rows:
        row.words.sort(key=lambda w: w.box[0])
    return rows


def _run(
    rows: Sequence[_Row], begin: int, known: Sequence[Gap] | None = None
) -> tuple[list[_Row], list[Gap]]:
    """Rows from `begin` on that keep apart the same columns, and the gaps between these: the `known` ones,
    or else those of the first row.
    """
    first = rows[begin]
    gaps, run, pending = first.gaps(), [first], list[_Row]()
    if known is not None:
        gaps = [free for gap in known for free in _free(gap, first)]
    if not gaps or (known is not None and len(gaps) < len(known)):
        return run, []
    for row in rows[begin + 1 :]:
        above = pending[-1] if pending else run[-1]
        if above.bottom - row.top > _ROW_GAP * min(above.height, row.height):
            break
        left = [found for gap in gaps for found in _free(gap, row)]
        if len(left) < len(gaps):
            break
        filled = {_place(word, left) for word in row.words}
        if filled == {0}:  # more of the first cell, or no row of the table any more
            pending.append(row)
            if len(pending) > 2:
                break
            continue
        run += [*pending, row]
        gaps, pending = left, []
    return run, gaps


def _free(gap: Gap, row: _Row) -> Iterator[Gap]:
    """The widest part of a gap that a row leaves free, if that still parts columns."""
    left, best = gap[0], (0.0, 0.0)
    for word in row.words:
        if word.box[2] > gap[0] and word.box[0] < gap[1]:
            best = max(best, (left, min(word.box[0], gap[1])), key=lambda part: part[1] - part[0])
            left = max(left, word.box[2])
    best = max(best, (left, gap[1]), key=lambda part: part[1] - part[0])
    if best[1] - best[0] >= _COLUMN_GAP * row.height:
        yield best


def _place(word: Word, gaps: Sequence[Gap]) -> int:
    """The word's column."""
    middle = (word.box[0] + word.box[2]) / 2
    return sum(middle > (gap[0] + gap[1]) / 2 for gap in gaps)


def _table(run: Sequence[_Row], gaps: Sequence[Gap], rulings: Sequence[Box]) -> PdfTable | None:
    if not gaps or len(run) < _LEAST_ROWS or _monospaced(run):
        return None
    columns = _edges(run, gaps)
    texts, boxes = _cells(run, gaps, columns)
    if len(texts) < _LEAST_ROWS or not _is_table(texts):
        return None
    below, framed = _drawn(boxes, rulings, run[0].height)
    named = looks_like_header(texts[0], texts[1:]) and (below or _stands_out(run, texts))
    if not (named or framed):
        return None
    return PdfTable((columns[0], boxes[-1][1], columns[-1], boxes[0][3]), texts, boxes, columns, header=named,
                    gaps=gaps)  # fmt: skip


def _edges(run: Sequence[_Row], gaps: Sequence[Gap]) -> list[float]:
    """Where the columns begin and end."""
    return [min(row.words[0].box[0] for row in run), *((gap[0] + gap[1]) / 2 for gap in gaps),
            max(word.box[2] for row in run for word in row.words)]  # fmt: skip


def _cells(
    run: Sequence[_Row], gaps: Sequence[Gap], columns: Sequence[float]
) -> tuple[list[list[str]], list[Box]]:
    """The table's rows and their boxes; lines that go on with the cells above are part of these."""
    texts: list[list[str]] = []
    boxes: list[Box] = []
    for row in run:
        cells = [""] * (len(gaps) + 1)
        for word in row.words:
            place = _place(word, gaps)
            cells[place] = f"{cells[place]} {word.text}" if cells[place] else word.text
        box = (round(columns[0], 1), round(row.bottom, 1), round(columns[-1], 1), round(row.top, 1))
        filled = sum(map(bool, cells))
        if texts and (filled < len(gaps) or (len(gaps) == 1 and not cells[0])) and _goes_on(cells):
            pairs = zip(texts[-1], cells, strict=True)
            texts[-1] = ["\n".join(filter(None, pair)) for pair in pairs]
            boxes[-1] = (box[0], box[1], box[2], boxes[-1][3])
        else:
            texts.append(cells)
            boxes.append(box)
    return texts, boxes


def _goes_on(cells: Sequence[str]) -> bool:
    """Whether a line with empty cells is the rest of the row above rather than a row of its own."""
    return not cells[0] or cells[0][:1].islower()


def _is_table(texts: Sequence[Sequence[str]]) -> bool:
    """Rows of cells, short ones in one column at least: no prose, list or table of contents."""
    columns = list(zip(*texts[1:], strict=True))
    filled = [[cell for cell in column if cell] for column in columns]
    if not all(filled) or sum(map(len, filled)) < 0.6 * len(columns) * len(columns[0]):
        return False
    if any(_LEADERS.search(cell) for column in filled for cell in column):
        return False
    if all(_MARKER.fullmatch(cell) for cell in filled[0]) or any(map(_MARKER.fullmatch, texts[0])):
        return False
    return min(fmean(len(cell.split()) for cell in column) for column in filled) <= _NARROW


def _stands_out(run: Sequence[_Row], texts: Sequence[Sequence[str]]) -> bool:
    """Whether the first row differs from those below: data under names, or bold type."""
    for column in zip(*texts[1:], strict=True):
        data = [cell for cell in column if cell]
        if len(data) >= _LEAST_ROWS - 1 and sum(map(bool, map(_DATUM.fullmatch, data))) >= 0.6 * len(data):
            return True
    return all(word.weight >= _BOLD for word in run[0].words) and run[-1].words[-1].weight < _BOLD


def _drawn(boxes: Sequence[Box], rulings: Sequence[Box], height: float) -> tuple[bool, bool]:
    """Whether a line is drawn below the first row and not below the second; and above the first and below
    the last.
    """
    left, right = boxes[0][0], boxes[0][2]
    heights = [
        (line[1] + line[3]) / 2
        for line in rulings
        if line[3] - line[1] <= 0.5 * height
        and line[2] - line[0] >= 0.7 * (right - left)
        and line[0] <= left + height
        and line[2] >= right - 0.3 * (right - left)
    ]

    def near(y: float) -> bool:
        return any(abs(y - found) <= 0.8 * height for found in heights)

    below = [near((upper[1] + lower[3]) / 2) for upper, lower in pairwise(boxes[:3])]
    return below[0] and not below[1], near(boxes[0][3]) and near(boxes[-1][1])


def _monospaced(run: Sequence[_Row]) -> bool:
    """Whether the characters of all words are as wide: a listing or a terminal's output."""
    widths = [
        (word.box[2] - word.box[0]) / len(word.text)
        for row in run
        for word in row.words
        if len(word.text) > 2
    ]
    if len(widths) < _LEAST_ROWS:
        return False
    usual = sorted(widths)[len(widths) // 2]
    return sum(abs(width - usual) < 0.03 * usual for width in widths) > 0.9 * len(widths)
