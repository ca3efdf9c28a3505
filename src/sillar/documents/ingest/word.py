"""Word documents into blocks: paragraphs, lists and tables in reading order. Macros are never looked
at; hidden text, deleted text and comments are left out.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import docx
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.opc.exceptions import PackageNotFoundError
from docx.opc.part import PartFactory
from docx.oxml.ns import qn
from docx.parts.document import DocumentPart
from lxml import etree

from sillar.documents.document import BlockKind, Document, DocumentBuilder
from sillar.documents.ingest.package import open_package, parse_xml
from sillar.documents.ingest.tables import MAX_SPAN, Row, add_table, add_titles, looks_like_header
from sillar.errors import DocumentError

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_OTHER_MAIN_TYPES = (
    "application/vnd.ms-word.document.macroEnabled.main+xml",
    "application/vnd.ms-word.template.macroEnabledTemplate.main+xml",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.template.main+xml",
)
_HEADING = re.compile(r"(?:heading|título|encabezado|überschrift|titre)\s*(\d)", re.I)
_SKIPPED = {
    qn(name) for name in ("w:del", "w:moveFrom", "w:instrText", "w:delText", "w:commentReference")
} | {"{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"}
_BLANK = {qn("w:tab"): " ", qn("w:br"): " ", qn("w:cr"): " ", qn("w:noBreakHyphen"): "-"}
_MAX_DEPTH = 20

for _type in _OTHER_MAIN_TYPES:
    PartFactory.part_type_for.setdefault(_type, DocumentPart)


def parse_word(data: bytes) -> Document:
    """Blocks of the body, then the footnotes. DocumentError: encrypted, damaged, no Word document."""
    open_package(data)
    try:
        package = docx.package.Package.open(io.BytesIO(data))
        part = package.main_document_part
        if not isinstance(part, DocumentPart):
            raise DocumentError("It is no Word document inside.", "damaged")
        reader = _Reader(DocumentBuilder(MEDIA_TYPE, _title(package)), _headings(part))
        body = part.element.body
        if body is not None:
            reader.walk(body)
        reader.footnotes(part)
    except (KeyError, ValueError, AttributeError, PackageNotFoundError, zipfile.BadZipFile, etree.LxmlError):
        raise DocumentError("It is damaged, or no Word document.", "damaged") from None
    return reader.builder.build()


def _title(package: Any) -> str:
    try:
        return " ".join((package.core_properties.title or "").split())[:200]
    except (KeyError, ValueError, AttributeError):
        return ""


def _headings(part: Any) -> dict[str, int]:
    """Style id -> level of the styles that are headings, by name or outline level."""
    levels: dict[str, int] = {}
    try:
        styles = part.styles.element.iterchildren(qn("w:style"))
    except (KeyError, ValueError, AttributeError):
        return levels
    for style in styles:
        name = style.find(qn("w:name"))
        label = name.get(qn("w:val"), "") if name is not None else ""
        outline = style.find(f"{qn('w:pPr')}/{qn('w:outlineLvl')}")
        if match := _HEADING.match(label):
            levels[style.get(qn("w:styleId"))] = min(6, max(1, int(match.group(1))))
        elif label.lower() == "title":
            levels[style.get(qn("w:styleId"))] = 1
        elif outline is not None and outline.get(qn("w:val"), "9") in "012345":
            levels[style.get(qn("w:styleId"))] = int(outline.get(qn("w:val"))) + 1
    return levels


@dataclass(slots=True)
class _Reader:
    builder: DocumentBuilder
    headings: dict[str, int]
    boxes: list[Any] = field(default_factory=list)
    """Text boxes met inside paragraphs; read after the paragraph."""

    def walk(self, parent: Any, depth: int = 0) -> None:
        """Paragraphs and tables below `parent`, through content controls and the like."""
        if depth > _MAX_DEPTH:
            return
        for element in parent.iterchildren():
            if element.tag == qn("w:p"):
                self._paragraph(element, depth)
            elif element.tag == qn("w:tbl"):
                self._table(element)
            elif element.tag in (
                qn("w:sdt"),
                qn("w:sdtContent"),
                qn("w:ins"),
                qn("w:customXml"),
                qn("w:moveTo"),
            ):
                self.walk(element, depth + 1)

    def _paragraph(self, element: Any, depth: int) -> None:
        self.boxes.clear()
        text = " ".join("".join(self._text(element)).split())
        properties = element.find(qn("w:pPr"))
        level = self._level(properties)
        kind: BlockKind = "heading" if level else "paragraph"
        if not level and properties is not None and properties.find(qn("w:numPr")) is not None:
            kind = "list"
        self.builder.add(kind, text, level=level)
        for box in list(self.boxes):
            self.walk(box, depth + 1)

    def _level(self, properties: Any) -> int:
        if properties is None:
            return 0
        outline = properties.find(qn("w:outlineLvl"))
        if outline is not None and outline.get(qn("w:val"), "9") in "012345":
            return int(outline.get(qn("w:val"))) + 1
        style = properties.find(qn("w:pStyle"))
        return self.headings.get(style.get(qn("w:val"), ""), 0) if style is not None else 0

    def _text(self, element: Any) -> Iterator[str]:
        """What a reader sees of a paragraph, hyperlinks and insertions included."""
        for child in element.iterchildren():
            if child.tag == qn("w:t"):
                yield child.text or ""
            elif child.tag in _BLANK:
                yield _BLANK[child.tag]
            elif child.tag == qn("w:txbxContent"):
                self.boxes.append(child)
            elif child.tag in _SKIPPED or (child.tag == qn("w:r") and _is_hidden(child)):
                continue
            else:
                yield from self._text(child)

    def _table(self, table: Any) -> None:
        rows: list[Row] = []
        elements = list(table.iterchildren(qn("w:tr")))
        for row in elements:
            rows.append(self._row(row, rows[-1] if rows else ()))
        titles = add_titles(self.builder, rows)
        rows = rows[titles:]
        marked = bool(rows) and _names_columns(elements[titles])
        look = table.find(f"{qn('w:tblPr')}/{qn('w:tblLook')}")
        first_row = look is not None and (
            look.get(qn("w:firstRow")) == "1" or bool(int(look.get(qn("w:val"), "0"), 16) & 0x20)
        )
        # Word marks the first row of most tables; with two columns that is as often a name and its value.
        named = marked or (
            first_row and len(rows) > 2 and len(rows[0]) > 2 and looks_like_header(rows[0], rows[1:])
        )
        add_table(self.builder, rows[1:] if named else rows, header=rows[0] if named else None)

    def _row(self, row: Any, above: Row) -> list[str]:
        """The cells of a row, each in its column; one that goes on from above has the same text."""
        cells: list[str] = []
        for cell in row.iterchildren(qn("w:tc"), qn("w:sdt")):
            inner = cell if cell.tag == qn("w:tc") else next(cell.iter(qn("w:tc")), cell)
            merged = inner.find(f"{qn('w:tcPr')}/{qn('w:vMerge')}")
            goes_on = merged is not None and merged.get(qn("w:val"), "continue") == "continue"
            text = above[len(cells)] if goes_on and len(cells) < len(above) else self._cell(cell)
            span = inner.find(f"{qn('w:tcPr')}/{qn('w:gridSpan')}")
            width = int(span.get(qn("w:val"), "1")) if span is not None else 1
            cells += [text, *[""] * (min(width, MAX_SPAN) - 1)]
        return cells

    def _cell(self, cell: Any) -> str:
        parts = []
        for paragraph in cell.iter(qn("w:p")):
            parts.append("".join(self._text(paragraph)))
        return " ".join(part for part in parts if part.strip())

    def footnotes(self, part: Any) -> None:
        """The notes at the foot of pages, at the end."""
        for relation in part.rels.values():
            if relation.reltype == RELATIONSHIP_TYPE.FOOTNOTES and not relation.is_external:
                root = parse_xml(relation.target_part.blob)
                for note in root.iterchildren(qn("w:footnote")):
                    for paragraph in note.iter(qn("w:p")):
                        self.builder.add("paragraph", " ".join("".join(self._text(paragraph)).split()))


def _is_hidden(run: Any) -> bool:
    hidden = run.find(f"{qn('w:rPr')}/{qn('w:vanish')}")
    return hidden is not None and hidden.get(qn("w:val"), "1") not in ("0", "false")


def _names_columns(row: Any) -> bool:
    """Whether a row is repeated on each page as a header, or is bold throughout."""
    if row.find(f"{qn('w:trPr')}/{qn('w:tblHeader')}") is not None:
        return True
    runs = [run for run in row.iter(qn("w:r")) if "".join(run.itertext()).strip()]
    return bool(runs) and all(run.find(f"{qn('w:rPr')}/{qn('w:b')}") is not None for run in runs)
