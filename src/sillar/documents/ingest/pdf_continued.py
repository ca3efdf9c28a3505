"""Tables of a PDF that go on at the head of the next page: the same columns, and nothing but running
headers and footers in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sillar.documents.ingest.pdf_lines import Line, in_margin, is_within
from sillar.documents.ingest.pdf_tables import PdfTable

_NEAR_END = 0.3
"""Share of a page's height: a table that stops further from its foot is over."""
_SAME = 2.0
"""Points between rulings of the same column."""


def open_table(lines: Sequence[Line], tables: Sequence[PdfTable], height: float) -> PdfTable | None:
    """The table that reaches the page's foot, if one does. `lines`: before tables were placed."""
    if not tables:
        return None
    last = min(tables, key=lambda table: table.box[1])
    below = any(line.box[3] <= last.box[1] + line.size / 2 for line in _text(lines, tables))
    return None if below or last.box[1] > _NEAR_END * height else last


def mark_continued(
    lines: Sequence[Line], tables: Sequence[PdfTable], before: PdfTable | None, height: float
) -> list[PdfTable]:
    """The tables of a page, from top to bottom; the first one says so if it goes on with `before`."""
    marked = list(tables)
    if marked and before is not None and is_head(lines, marked, height):
        same = len(before.columns) == len(marked[0].columns) and all(
            abs(a - b) < _SAME for a, b in zip(before.columns, marked[0].columns, strict=True)
        )
        if same and not before.gaps:
            marked[0] = replace(marked[0], continues=True)
    return marked


def is_head(lines: Sequence[Line], tables: Sequence[PdfTable], height: float) -> bool:
    """Whether the first of these tables begins at the page's head."""
    top = tables[0].box[3]
    above = any(line.box[1] >= top - line.size / 2 for line in _text(lines, tables))
    return not above and top > (1 - _NEAR_END) * height


def _text(lines: Sequence[Line], tables: Sequence[PdfTable]) -> list[Line]:
    """The lines between the margins that are of no table."""
    return [
        line
        for line in lines
        if not in_margin(line) and not any(is_within(line, table.box) for table in tables)
    ]
