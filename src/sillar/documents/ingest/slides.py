"""PowerPoint presentations into blocks: a heading a slide, its texts, tables and charts, the speaker's notes.
Macros are never looked at; hidden slides are left out.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pptx
from lxml import etree
from pptx.exc import PackageNotFoundError, PythonPptxError

from sillar.documents.document import Document, DocumentBuilder
from sillar.documents.ingest.package import open_package
from sillar.documents.ingest.tables import Row, add_table, add_titles
from sillar.errors import DocumentError

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
_MAX_DEPTH = 12
_MAX_CATEGORIES = 500
_FOOTERS = frozenset({"DATE", "FOOTER", "SLIDE_NUMBER", "HEADER", "SLIDE_IMAGE"})


def parse_slides(data: bytes) -> Document:
    """Blocks with the slide's number as page. DocumentError: encrypted, damaged, no presentation."""
    open_package(data)
    try:
        presentation = pptx.Presentation(io.BytesIO(data))
        title = " ".join((presentation.core_properties.title or "").split())
        builder = DocumentBuilder(MEDIA_TYPE, "" if title == "PowerPoint Presentation" else title[:200])
        for number, slide in enumerate(presentation.slides, 1):
            builder.pages = number
            if slide.element.get("show") not in ("0", "false"):
                _add_slide(builder, slide, number)
    except (KeyError, ValueError, AttributeError, IndexError, PackageNotFoundError, PythonPptxError,
            zipfile.BadZipFile, etree.LxmlError):  # fmt: skip
        raise DocumentError("It is damaged, or no presentation.", "damaged") from None
    return builder.build()


def _add_slide(builder: DocumentBuilder, slide: Any, number: int) -> None:
    title = slide.shapes.title
    heading = " ".join(title.text_frame.text.split()) if title is not None and title.has_text_frame else ""
    before = len(builder.blocks)
    builder.add("heading", heading or f"Slide {number}", level=1, page=number)
    for shape in _shapes(slide.shapes):
        if title is not None and shape.shape_id == title.shape_id:
            continue
        if shape.has_table:
            _add_rows(builder, shape.table, number)
        elif shape.has_chart:
            _add_chart(builder, shape.chart, number)
        elif shape.has_text_frame and not _is_footer(shape):
            _add_texts(builder, shape.text_frame, number)
    if slide.has_notes_slide and (notes := slide.notes_slide.notes_text_frame) is not None:
        _add_texts(builder, notes, number)
    if not heading and len(builder.blocks) == before + 1:
        builder.drop_last()


def _shapes(shapes: Any, depth: int = 0) -> Iterator[Any]:
    """Shapes in order, those of groups in their place."""
    for shape in shapes:
        if hasattr(shape, "shapes"):
            if depth < _MAX_DEPTH:
                yield from _shapes(shape.shapes, depth + 1)
        else:
            yield shape


def _is_footer(shape: Any) -> bool:
    return shape.is_placeholder and shape.placeholder_format.type is not None and (
        shape.placeholder_format.type.name in _FOOTERS
    )  # fmt: skip


def _add_texts(builder: DocumentBuilder, frame: Any, number: int) -> None:
    paragraphs = [" ".join(p.text.split()) for p in frame.paragraphs]
    filled = [text for text in paragraphs if text]
    for text in filled:
        builder.add("list" if len(filled) > 1 else "paragraph", text, page=number)


def _add_rows(builder: DocumentBuilder, table: Any, number: int) -> None:
    rows: list[Row] = []
    for row in table.rows:
        above = rows[-1] if rows else ()
        rows.append([_cell(cell, above[i] if i < len(above) else "") for i, cell in enumerate(row.cells)])
    rows = rows[add_titles(builder, rows, page=number) :]
    named = bool(table.first_row) and len(rows) > 1
    add_table(builder, rows[1:] if named else rows, header=rows[0] if named else None, page=number)


def _cell(cell: Any, above: str) -> str:
    """Its text; a cell that goes on from above has the same text."""
    return above if cell._tc.vMerge else "" if cell._tc.hMerge else cell.text


def _add_chart(builder: DocumentBuilder, chart: Any, number: int) -> None:
    """What a chart shows, as the table that it was made of."""
    with suppress(KeyError, ValueError, AttributeError, IndexError, TypeError, NotImplementedError):
        if chart.has_title and chart.chart_title.has_text_frame:
            _add_texts(builder, chart.chart_title.text_frame, number)
        for plot in chart.plots:
            header = ["", *(str(series.name) for series in plot.series)]
            values = [list(series.values) for series in plot.series]
            rows = [
                [str(name), *(f"{column[i]:.10g}" if i < len(column) and column[i] is not None else ""
                              for column in values)]
                for i, name in enumerate(list(plot.categories)[:_MAX_CATEGORIES])
            ]  # fmt: skip
            add_table(builder, rows, header=header if rows else None, page=number)
