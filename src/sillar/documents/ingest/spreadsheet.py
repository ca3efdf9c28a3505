"""Spreadsheets and delimited files into rows that keep their header: XLSX, CSV, TSV. Formulas count as
the value that was last shown; macros are never looked at; hidden sheets and rows are left out.
"""

from __future__ import annotations

import csv
import datetime
import io
import warnings
import zipfile
from collections.abc import Iterable, Iterator
from typing import Any
from xml.etree.ElementTree import ParseError

import openpyxl
from lxml import etree
from openpyxl.utils.exceptions import InvalidFileException

from sillar.documents.document import Document, DocumentBuilder
from sillar.documents.ingest.detect import decode
from sillar.documents.ingest.package import open_package
from sillar.documents.ingest.tables import Row, looks_like_header, row_line
from sillar.errors import DocumentError

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
MAX_ROWS = 200_000
_EMPTY_END = 5_000
"""Empty rows after which a sheet counts as ended, whatever size it declares."""
_TITLE_ROWS = 20
_DELIMITERS = ",;\t|"


def parse_xlsx(data: bytes) -> Document:
    """A heading a sheet, a block a row. DocumentError: encrypted, damaged, no workbook."""
    open_package(data)
    builder = DocumentBuilder(MEDIA_TYPE)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
            builder.title = " ".join((book.properties.title or "").split())[:200]
            for sheet in book.worksheets:
                if sheet.sheet_state == "visible":
                    builder.add("heading", sheet.title, level=1)
                    sheet.reset_dimensions()
                    add_rows(builder, _cells(sheet))
    except (KeyError, ValueError, AttributeError, TypeError, IndexError, InvalidFileException,
            zipfile.BadZipFile, etree.LxmlError, ParseError):  # fmt: skip
        raise DocumentError("It is damaged, or no workbook.", "damaged") from None
    if all(block.kind == "heading" for block in builder.blocks):
        raise DocumentError("It holds no text.", "empty")
    return builder.build()


def _cells(sheet: Any) -> Iterator[tuple[int, list[str]]]:
    """(row number, texts of its cells)."""
    empty = 0
    for number, row in enumerate(sheet.iter_rows(values_only=True), 1):
        cells = [_text(value) for value in row]
        empty = 0 if any(cells) else empty + 1
        if empty > _EMPTY_END:
            return
        yield number, cells


def _text(value: object) -> str:
    """A value as a person writes it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else f"{value:.10g}"
    if isinstance(value, datetime.datetime):
        return (
            value.isoformat(" ", "minutes") if value.time() != datetime.time() else value.date().isoformat()
        )
    return str(value)


def parse_delimited(data: bytes) -> Document:
    """A block a row, with the line where it begins. DocumentError when the bytes are no text."""
    text = decode(data)
    builder = DocumentBuilder("text/csv")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text))
    try:
        add_rows(builder, _numbered(reader))
    except csv.Error as error:
        raise DocumentError(f"It is no table that can be read ({error}).", "damaged") from None
    return builder.build()


def _delimiter(text: str) -> str:
    """What separates the cells: the sign that the first lines hold most often, and equally often."""
    lines = [line for line in text[:20_000].split("\n")[:20] if line.strip()][:10]
    counts = {sign: [line.count(sign) for line in lines] for sign in _DELIMITERS}
    best = max(_DELIMITERS, key=lambda sign: (min(counts[sign], default=0), sum(counts[sign])))
    return best if any(counts[best]) else ","


def _numbered(reader: Any) -> Iterator[tuple[int, list[str]]]:
    line = 1
    for row in reader:
        yield line, row
        line = reader.line_num + 1


def add_rows(builder: DocumentBuilder, rows: Iterable[tuple[int, Row]]) -> None:
    """Rows of one sheet: what stands above the table, its header, then each row with its header."""
    head: list[tuple[int, Row]] = []
    header: Row | None = None
    count = 0
    for number, row in rows:
        if not any(cell.strip() for cell in row):
            continue
        count += 1
        if count > MAX_ROWS:
            raise DocumentError(f"It has more than {MAX_ROWS:,} rows.", "too_large")
        if header is None and count <= _TITLE_ROWS:
            head.append((number, row))
            header = _header(head)
            if header is not None:
                _add_head(builder, head[:-2])
                _add_row(builder, number, row, header)
                head = []
            continue
        _add_head(builder, head)
        head = []
        _add_row(builder, number, row, header)
    _add_head(builder, head)


def _header(head: list[tuple[int, Row]]) -> Row | None:
    """The last row but one, when it names the columns of the last."""
    if len(head) < 2:
        return None
    names, row = _trimmed(head[-2][1]), head[-1][1]
    return head[-2][1] if looks_like_header(names, [row]) and not _data_above(head) else None


def _data_above(head: list[tuple[int, Row]]) -> bool:
    """Whether an earlier row already had cells side by side: then the first of them was data."""
    return any(len([cell for cell in row if cell.strip()]) > 1 for _, row in head[:-2])


def _trimmed(row: Row) -> Row:
    last = max((i for i, cell in enumerate(row) if cell.strip()), default=-1)
    first = next((i for i, cell in enumerate(row) if cell.strip()), 0)
    return row[first : last + 1]


def _add_head(builder: DocumentBuilder, head: list[tuple[int, Row]]) -> None:
    for number, row in head:
        _add_row(builder, number, row, None)


def _add_row(builder: DocumentBuilder, number: int, row: Row, header: Row | None) -> None:
    builder.add("table", row_line(row, header), lines=(number, number))
