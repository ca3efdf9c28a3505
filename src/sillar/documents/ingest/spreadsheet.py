"""Spreadsheets and delimited files into rows that keep their header: XLSX, CSV, TSV. Formulas count as
the value that was last shown; macros are never looked at; hidden sheets are left out (hidden rows are not:
a filter that was left on hides rows too).
"""

from __future__ import annotations

import csv
import datetime
import io
import re
import warnings
import zipfile
from collections.abc import Iterable, Iterator
from typing import Any
from xml.etree.ElementTree import ParseError

from lxml import etree
from openpyxl.reader.excel import ExcelReader
from openpyxl.utils.exceptions import InvalidFileException

from sillar.documents.document import Document, DocumentBuilder
from sillar.documents.ingest.detect import decode
from sillar.documents.ingest.package import open_package
from sillar.documents.ingest.tables import Row, is_value, looks_like_header, row_line
from sillar.errors import DocumentError

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
MAX_ROWS = 200_000
_EMPTY_END = 5_000
"""Empty rows after which a sheet counts as ended, whatever size it declares."""
_TITLE_ROWS = 20
_DELIMITERS = ",;\t|"
_CURRENCY = re.compile(r"\[\$([^\]-]*)[^\]]*\]")
"""In a number's format, with the language that it is written in: [$€-407]; [$-409] is a language alone."""
_SEPARATOR = re.compile(r"sep=([,;\t|])\n")
"""What Excel writes above a table to say what separates its cells."""


def parse_xlsx(data: bytes) -> Document:
    """A heading a sheet, a block a row. DocumentError: encrypted, damaged, no workbook."""
    open_package(data)
    builder = DocumentBuilder(MEDIA_TYPE)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            reader = _BookReader(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
            reader.read()
            book = reader.wb
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


class _BookReader(ExcelReader):
    """Reads no sheet that is a chart alone: what it draws stands in the others."""

    def read_chartsheet(self, sheet: Any, rel: Any) -> None:
        """Leaves it out, and its drawings with it."""


def _cells(sheet: Any) -> Iterator[tuple[int, list[str]]]:
    """(row number, texts of its cells)."""
    empty = 0
    for number, row in enumerate(sheet.iter_rows(), 1):
        cells = [_text(cell) for cell in row]
        empty = 0 if any(cells) else empty + 1
        if empty > _EMPTY_END:
            return
        yield number, cells


def _text(cell: Any) -> str:
    """A cell's value as a person writes it."""
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return _number(value, str(cell.number_format))
    if isinstance(value, datetime.datetime):
        return (
            value.isoformat(" ", "minutes") if value.time() != datetime.time() else value.date().isoformat()
        )
    return str(value)


def _number(value: float, shown_as: str) -> str:
    """A number; a share as its percentage, a sum of money with its currency."""
    shown_as = _CURRENCY.sub(r"\1", shown_as.split(";", maxsplit=1)[0])
    if "%" in shown_as:
        return f"{100 * value:.10g} %"
    whole = value.is_integer() if isinstance(value, float) else True
    text = str(int(value)) if whole and abs(value) < 1e15 else f"{value:.10g}"
    sign = next((sign for sign in "€$£¥" if sign in shown_as), "")
    return f"{text} {sign}" if sign else text


def parse_delimited(data: bytes) -> Document:
    """A block a row, with the line where it begins. DocumentError when the bytes are no text."""
    text = decode(data)
    builder = DocumentBuilder("text/csv")
    said = _SEPARATOR.match(text)
    text = "\n" + text[said.end() :] if said else text
    sign = said.group(1) if said else _delimiter(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=sign)
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
            header, head = _begin(builder, head)
            continue
        _add_all(builder, head, None)
        head = []
        _add_all(builder, [(number, row)], header)
    _, head = _begin(builder, head, ended=True)
    _add_all(builder, head, None)


def _begin(
    builder: DocumentBuilder, head: list[tuple[int, Row]], *, ended: bool = False
) -> tuple[Row | None, list[tuple[int, Row]]]:
    """Adds what stands above the table and its first rows, if the rows so far show its header; answers the
    header and the rows that still wait for one. A header of two rows shows in the third.
    """
    for levels in (2, 1):
        if len(head) <= levels:
            continue
        *names, below = [row for _, row in head[-levels - 1 :]]
        above = head[: -levels - 1]
        if levels == 2 and _two_levels(names[0], names[1]) and not _side_by_side(above):
            both = any(map(is_value, below))
            named, first = (_together(names[0], names[1]), -1) if both else (names[0], -2)
        elif levels == 1 and looks_like_header(_trimmed(names[0]), [below]) and not _side_by_side(above):
            if _two_levels(names[0], below) and not ended:
                break
            named, first = names[0], -1
        else:
            continue
        _add_all(builder, above, None)
        _add_all(builder, head[first:], named)
        return named, []
    return None, head


def _two_levels(upper: Row, lower: Row) -> bool:
    """Whether a row may name the columns below a row of wider names: text alone, also right of a name."""
    cells = [cell for cell in lower if cell.strip()]
    below = zip(_trimmed(upper), lower[_margin(upper) :], strict=False)
    gaps = any(name.strip() and not over.strip() for over, name in below)
    return gaps and looks_like_header(_trimmed(upper), [lower]) and not any(map(is_value, cells))


def _together(upper: Row, lower: Row) -> Row:
    """Each column's name below the name that spans it."""
    names, over = [], ""
    for i, name in enumerate(lower):
        over = upper[i] if i < len(upper) and upper[i].strip() else over
        names.append(f"{over} {name}".strip() if name.strip() else upper[i] if i < len(upper) else "")
    return names


def _side_by_side(rows: list[tuple[int, Row]]) -> bool:
    """Whether an earlier row already had cells side by side: then the first of them was data."""
    return any(len([cell for cell in row if cell.strip()]) > 1 for _, row in rows)


def _margin(row: Row) -> int:
    return next((i for i, cell in enumerate(row) if cell.strip()), 0)


def _trimmed(row: Row) -> Row:
    last = max((i for i, cell in enumerate(row) if cell.strip()), default=-1)
    return row[_margin(row) : last + 1]


def _add_all(builder: DocumentBuilder, rows: list[tuple[int, Row]], header: Row | None) -> None:
    for number, row in rows:
        builder.add("table", row_line(row, header), lines=(number, number))
