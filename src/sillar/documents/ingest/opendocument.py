"""OpenDocument texts and spreadsheets into blocks: headings, paragraphs, lists, tables. Macros are
never looked at; deleted text, comments and the table of contents are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sillar.documents.document import BlockKind, Document, DocumentBuilder
from sillar.documents.ingest.package import open_package
from sillar.documents.ingest.spreadsheet import add_rows
from sillar.documents.ingest.tables import Row, add_table, add_titles, looks_like_header
from sillar.errors import DocumentError

_TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_MEDIA = "application/vnd.oasis.opendocument"
_LEFT_OUT = {
    *(
        f"{_TEXT}{name}"
        for name in ("tracked-changes", "table-of-content", "alphabetical-index", "note-citation")
    ),
    f"{_OFFICE}annotation",
    f"{_OFFICE}forms",
}
_MAX_REPEATED = 50
"""Times that a repeated cell is written out; spreadsheets repeat empty ones by the million."""
_MAX_DEPTH = 60


def parse_opendocument(data: bytes) -> Document:
    """Blocks of an .odt or .ods. DocumentError: encrypted, damaged, another kind."""
    package = open_package(data)
    if "META-INF/manifest.xml" in package.names():
        manifest = package.xml("META-INF/manifest.xml")
        if manifest.find(".//{*}encryption-data") is not None:
            raise DocumentError("It is encrypted with a password.", "encrypted")
    root = package.xml("content.xml")
    title = ""
    if "meta.xml" in package.names():
        title = package.xml("meta.xml").findtext(".//{http://purl.org/dc/elements/1.1/}title") or ""
    for kind in ("text", "spreadsheet"):
        body = root.find(f"{_OFFICE}body/{_OFFICE}{kind}")
        if body is not None:
            reader = _Reader(DocumentBuilder(f"{_MEDIA}.{kind}", " ".join(title.split())[:200]))
            (reader.walk if kind == "text" else reader.sheets)(body)
            return reader.builder.build()
    raise DocumentError("It is no OpenDocument text or spreadsheet.", "unsupported")


@dataclass(slots=True)
class _Reader:
    builder: DocumentBuilder

    def walk(self, parent: Any, depth: int = 0, listed: bool = False) -> None:
        """Blocks below an element, through sections, lists and frames."""
        if depth > _MAX_DEPTH:
            raise DocumentError("Its structure is nested too deeply.", "limits")
        for element in parent.iterchildren():
            tag = element.tag
            if tag in _LEFT_OUT:
                continue
            if tag == f"{_TEXT}h":
                level = element.get(f"{_TEXT}outline-level", "1")
                self.builder.add("heading", text_of(element), level=min(6, max(1, int(level or 1))))
            elif tag == f"{_TEXT}p":
                kind: BlockKind = "list" if listed else "paragraph"
                self.builder.add(kind, text_of(element))
            elif tag == f"{_TABLE}table":
                self._table(element)
            else:
                self.walk(element, depth + 1, listed or tag == f"{_TEXT}list")

    def _table(self, table: Any) -> None:
        headed = table.find(f"{_TABLE}table-header-rows") is not None
        rows = [row for _, row in _rows(table)]
        if not rows:
            return
        rows = rows[add_titles(self.builder, rows) :]
        named = headed or (len(rows[0]) > 2 and looks_like_header(rows[0], rows[1:]))
        add_table(self.builder, rows[1:] if named else rows, header=rows[0] if named else None)

    def sheets(self, body: Any) -> None:
        """Every visible sheet with its rows."""
        for table in body.iterchildren(f"{_TABLE}table"):
            self.builder.add("heading", table.get(f"{_TABLE}name", "Sheet"), level=1)
            add_rows(self.builder, _rows(table))


def _rows(table: Any) -> Any:
    """(row number, texts of its cells); rows that a filter hides are content too."""
    number = 0
    hanging: dict[int, tuple[int, str]] = {}  # column -> rows that its cell still spans, and its text
    for row in table.iter(f"{_TABLE}table-row"):
        number += 1
        cells: list[str] = []
        for cell in row.iterchildren(f"{_TABLE}table-cell", f"{_TABLE}covered-table-cell"):
            text = " ".join(filter(None, (text_of(p) for p in cell.iter(f"{_TEXT}p", f"{_TEXT}h"))))
            repeated = int(cell.get(f"{_TABLE}number-columns-repeated", "1"))
            spanned = int(cell.get(f"{_TABLE}number-rows-spanned", "1"))
            if spanned > 1:
                hanging[len(cells)] = (spanned - 1, text)
            elif cell.tag == f"{_TABLE}covered-table-cell" and len(cells) in hanging:
                left, text = hanging.pop(len(cells))
                if left > 1:
                    hanging[len(cells)] = (left - 1, text)
            cells += [text] * (min(repeated, _MAX_REPEATED) if text or repeated < _MAX_REPEATED else 1)
        yielded: Row = cells
        yield number, yielded
        number += int(row.get(f"{_TABLE}number-rows-repeated", "1")) - 1


def text_of(element: Any) -> str:
    """What a reader sees of a paragraph, on one line."""
    return " ".join("".join(_pieces(element)).split())


def _pieces(element: Any, depth: int = 0) -> list[str]:
    parts = [element.text or ""]
    for child in element.iterchildren():
        if depth > _MAX_DEPTH:
            break
        if child.tag in (f"{_TEXT}s", f"{_TEXT}tab", f"{_TEXT}line-break"):
            parts.append(" ")
        elif child.tag == f"{_TEXT}note":
            body = child.find(f"{_TEXT}note-body")
            parts.append(f" ({text_of(body)})" if body is not None else "")
        elif child.tag not in _LEFT_OUT:
            parts += _pieces(child, depth + 1)
        parts.append(child.tail or "")
    return parts
