"""A line of a PDF's page, and where on the page it stands."""

from __future__ import annotations

from dataclasses import dataclass

from sillar.documents.document import Box
from sillar.documents.ingest.pdf_tables import PdfTable

_MARGIN = 0.12
"""Share of a page's height, at its top and bottom, where running headers and footers stand."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line as it stands on a page."""

    text: str
    page: int
    """Counted from 0."""
    size: float
    """Height of the font's box, points; 0 when unknown."""
    weight: int
    box: Box
    page_height: float
    table: PdfTable | None = None
    """Set where the line stands for a whole table."""
    bold_head: bool = False
    """Whether the table's first row is bold."""


def is_within(line: Line, box: Box) -> bool:
    """Whether the middle of a line lies in a box."""
    x, y = (line.box[0] + line.box[2]) / 2, (line.box[1] + line.box[3]) / 2
    return box[0] <= x <= box[2] and box[1] <= y <= box[3]


def in_margin(line: Line) -> bool:
    """Whether a line stands where running headers and footers do."""
    _, bottom, _, top = line.box
    return bottom > (1 - _MARGIN) * line.page_height or top < _MARGIN * line.page_height
