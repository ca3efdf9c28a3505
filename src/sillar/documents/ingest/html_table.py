"""A table of a page while it is being walked: cells with their spans, rows with the header that names
them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sillar.documents.document import DocumentBuilder
from sillar.documents.ingest.tables import MAX_SPAN, clean, is_value, looks_like_header, row_line


@dataclass(slots=True)
class HtmlTable:
    """Rows are added to the builder as they end. Cells that span rows count in each of them."""

    builder: DocumentBuilder
    header: list[str] = field(default_factory=list)
    row: list[str] = field(default_factory=list)
    heads: int = 0
    """Header cells of this row."""
    hanging: dict[int, tuple[int, str]] = field(default_factory=dict)
    """Column -> rows that its cell still spans, and its text."""
    down: list[tuple[int, int, str]] = field(default_factory=list)
    filled_rows: int = 0
    first_head: bool = False
    waiting: tuple[list[str], tuple[int, int] | None] | None = None
    """The first row, where it may name the columns though no cell says so: the second one tells."""

    def start_row(self) -> None:
        """A new row; one that was not ended is given up."""
        self.row, self.heads, self.down, self.first_head = [], 0, [], False

    def cell(self, element: Any, text: str) -> None:
        """The cell that has just ended."""
        self._hang()
        text = clean(text)
        columns, rows = (_span(element.get(name)) for name in ("colspan", "rowspan"))
        if rows > 1:
            self.down.append((len(self.row), rows - 1, text))
        if text and _is_head(element):
            self.heads += 1
            self.first_head = self.first_head or not any(self.row)
        self.row += [text, *[""] * (columns - 1)]

    def _hang(self) -> None:
        """Cells of rows above that reach down to here."""
        while (hung := self.hanging.get(len(self.row))) is not None:
            left, text = hung
            if left > 1:
                self.hanging[len(self.row)] = (left - 1, text)
            else:
                del self.hanging[len(self.row)]
            self.row.append(text)

    def end_row(self, lines: tuple[int, int] | None) -> None:
        """A row of header cells names the columns of those below; any other is one block."""
        self._hang()
        self.hanging.update({column: (rows, text) for column, rows, text in self.down})
        filled = [cell for cell in self.row if cell]
        if filled and self.heads == len(filled) and (self.heads > 1 or not self.header):
            self._name_columns()
        elif filled and not self._waits(filled, lines):
            pair = self.heads == 1 and self.first_head and len(filled) == 2 and not self.header
            line = f"{filled[0].rstrip(' :')}: {filled[1]}" if pair else row_line(self.row, self.header)
            self.builder.add("table", line, lines=lines)
            self.filled_rows += 1
        self.start_row()

    def _waits(self, filled: list[str], lines: tuple[int, int] | None) -> bool:
        """Keeps a first row of names back: a value in the second one shows that they are names."""
        if self.waiting is not None:
            (names, at), self.waiting = self.waiting, None
            below = zip(names, self.row, strict=False)
            if len(names) == len(self.row) and any(is_value(cell) for name, cell in below if name):
                self.header = names
            else:
                self.builder.add("table", row_line(names, None), lines=at)
                self.filled_rows += 1
            return False
        first = not (self.header or self.filled_rows or self.heads) and len(filled) > 2
        if first and looks_like_header(self.row, [filled]):
            self.waiting = self.row, lines
        return self.waiting is not None

    def _name_columns(self) -> None:
        """Header rows right below one another name a column together; a later one replaces them."""
        if self.header and not self.filled_rows:
            width = max(len(self.header), len(self.row))
            upper, lower = (names + [""] * (width - len(names)) for names in (self.header, self.row))
            self.header = [
                " ".join(dict.fromkeys(filter(None, pair))) for pair in zip(upper, lower, strict=True)
            ]
        else:
            self.header, self.filled_rows = self.row, 0

    def end(self) -> None:
        """A header without rows is a row."""
        if self.waiting is not None:
            self.builder.add("table", row_line(self.waiting[0], None), lines=self.waiting[1])
        if self.header and not self.filled_rows:
            self.builder.add("table", row_line(self.header, None))


def _is_head(element: Any) -> bool:
    """Whether a cell says that it names its column or row: as th, or within thead."""
    return element.tag == "th" or any(
        above.tag == "thead" for above in element.iterancestors("thead", "table")
    )


def _span(value: str | None) -> int:
    return min(MAX_SPAN, int(value)) if value and value.isdecimal() and int(value) else 1
