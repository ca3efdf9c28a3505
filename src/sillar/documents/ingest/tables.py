"""Tables into lines of text: every row keeps its header, so that a row that is found alone says what
its cells are.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from sillar.documents.document import DocumentBuilder

MAX_SPAN = 60
"""Columns that one cell may span."""
_MAX_HEADER = 80
_VALUE = re.compile(r"(?=\D*\d)[-+(]?[\d.,:/%€$£\s-]+\)?|\S+@\S+|\w+://\S+|true|false|yes|no", re.I)
"""What stands in cells of data rather than above them: numbers, dates, sums, addresses."""
_DIGIT = re.compile(r"\d")

Row = Sequence[str]


def clean(cell: str) -> str:
    """A cell's text on one line."""
    return " ".join(cell.split())


def row_line(row: Row, header: Row | None) -> str:
    """`Header: cell | Header: cell` of the cells that hold something.

    One such cell among several columns is a title across the table, and goes without a name.
    """
    filled = [(i, cell) for i, cell in enumerate(map(clean, row)) if cell]
    if len(filled) == 1 and len([name for name in header or row if name]) > 1:
        return filled[0][1]
    return " | ".join(
        _named(cell, clean(header[i]) if header and i < len(header) else "") for i, cell in filled
    )


def _named(cell: str, name: str) -> str:
    name = name[:_MAX_HEADER].rstrip(" :")
    return f"{name}: {cell}" if name and name != cell else cell


def is_value(cell: str) -> bool:
    """Whether a cell holds data rather than a name: a number, a date, a sum, an address."""
    return _VALUE.fullmatch(clean(cell)) is not None


def looks_like_header(row: Row, following: Sequence[Row]) -> bool:
    """Whether a first row names columns: most cells filled, short, different, none a value; data follow."""
    cells = [cell for cell in map(clean, row) if cell]
    if len(cells) < max(2, 0.6 * len(row)) or not following or len(set(cells)) < len(cells):
        return False
    if len(cells) == 2 and any(map(_DIGIT.search, cells)):
        return False  # a name and its value
    return all(len(cell) <= _MAX_HEADER and not _VALUE.fullmatch(cell) for cell in cells)


def _filled(row: Row) -> int:
    return sum(1 for cell in row if cell.strip())


def add_table(
    builder: DocumentBuilder,
    rows: Sequence[Row],
    *,
    header: Row | None = None,
    lines: tuple[int, int] | None = None,
    page: int | None = None,
) -> None:
    """One block a row. A header without rows is a row itself."""
    if header is not None and not rows:
        rows, header = [header], None
    for row in rows:
        builder.add("table", row_line(row, header), lines=lines, page=page)


def add_titles(builder: DocumentBuilder, rows: Sequence[Row], *, page: int | None = None) -> int:
    """Adds what stands at a table's head as titles across it, and says how many rows that are: one cell,
    where the rows below have several.
    """
    count = 0
    while count + 1 < len(rows) and _filled(rows[count]) == 1 and len(rows[count]) > 1:
        count += 1
    titles = rows[:count] if count < len(rows) and _filled(rows[count]) > 1 else ()
    add_table(builder, titles, page=page)
    return len(titles)
