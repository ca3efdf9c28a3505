"""PDF into blocks: lines with font size and box from pdfium, then headings and paragraphs page by page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium

from sillar.documents.document import Document
from sillar.documents.ingest.ocr import recognise
from sillar.documents.ingest.pdf_bookmarks import fold
from sillar.documents.ingest.pdf_columns import aligned_tables, continued_table
from sillar.documents.ingest.pdf_continued import is_head, mark_continued, open_table
from sillar.documents.ingest.pdf_layout import (
    build_document,
    check_text_layer,
    has_wide_gaps,
    place_tables,
)
from sillar.documents.ingest.pdf_lines import Line
from sillar.documents.ingest.pdf_tables import PdfTable, page_rulings, ruled_tables
from sillar.documents.ingest.pdf_text import PageText
from sillar.errors import DocumentError

MAX_PAGES = 5000
MAX_OCR_PAGES = 500
_FEW_WORDS = 5
_PICTURE_SHARE = 0.3
"""Of a page's area, from which a picture counts as a scan of the page."""


def parse_pdf(data: bytes, *, ocr: bool = False) -> Document:
    """Blocks with pages and boxes; with `ocr`, pages without usable text are recognised from their picture.

    DocumentError: encrypted, damaged; without `ocr`, no text layer, or a broken one.
    """
    try:
        pdf = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        raise _reason(str(error)) from None
    try:
        count = len(pdf)
        if count > MAX_PAGES:
            raise DocumentError(f"It has {count:,} pages; {MAX_PAGES:,} are read at most.", "too_large")
        pages: list[list[Line]] = []
        table: PdfTable | None = None
        for number in range(count):
            lines, table = _page_lines(pdf, number, table)
            pages.append(lines)
        scans = [number for number, lines in enumerate(pages) if _is_scan(pdf, number, lines)]
        if ocr:
            _recognise(pdf, pages, scans)
            scans = []
        outline = _outline(pdf)
        title = str(pdf.get_metadata_value("Title") or "").strip()
    finally:
        pdf.close()
    if not any(pages):
        raise DocumentError("It has no text layer (a scan?); it would need OCR.", "needs_ocr")
    return replace(build_document(pages, outline, title[:200]), unread=tuple(n + 1 for n in scans))


def _is_scan(pdf: Any, number: int, lines: Sequence[Line]) -> bool:
    """Whether a page is a picture with hardly a word of text."""
    if sum(len(line.text.split()) for line in lines) > _FEW_WORDS:
        return False
    try:
        page = pdf[number]
        try:
            width, height = page.get_size()
            for item in page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_IMAGE], max_depth=3):
                left, bottom, right, top = (
                    item.get_bounds() if hasattr(item, "get_bounds") else item.get_pos()
                )
                if (right - left) * (top - bottom) > _PICTURE_SHARE * width * height:
                    return True
        finally:
            page.close()
    except pypdfium2.PdfiumError:
        pass
    return False


def _recognise(pdf: Any, pages: list[list[Line]], scans: Sequence[int]) -> None:
    """Replaces the lines of scanned pages, or of all pages where the text layer makes no words."""
    text = " ".join(line.text for page in pages for line in page)
    try:
        check_text_layer(text)
        wanted = scans if len(text) >= 25 * len(pages) else range(len(pages))
    except DocumentError:
        wanted = range(len(pages))
    if len(wanted) > MAX_OCR_PAGES:
        raise DocumentError(f"It has more than {MAX_OCR_PAGES} pages that need OCR.", "too_large")
    for number in wanted:
        page = pdf[number]
        try:
            height = page.get_height()
            found = recognise(page)
        finally:
            page.close()
        pages[number] = [
            Line(text, number, round(box[3] - box[1]), 0, box, height) for text, box in found if text.strip()
        ]


def _reason(message: str) -> DocumentError:
    if "password" in message.lower():
        return DocumentError("It is encrypted with a password.", "encrypted")
    return DocumentError("It is damaged, or no PDF.", "damaged")


def _outline(pdf: Any) -> dict[tuple[int, str], int]:
    """The depth of each bookmark."""
    outline: dict[tuple[int, str], int] = {}
    try:
        for index, mark in enumerate(pdf.get_toc(max_depth=6)):
            if index > 20_000:
                break
            destination = mark.get_dest()
            page = destination.get_index() if destination else None
            if page is not None:
                outline.setdefault((page, fold(mark.get_title())), mark.level + 1)
    except (pypdfium2.PdfiumError, AttributeError, ValueError):
        return outline
    return outline


def _tables(
    page: Any, text_page: Any, text: PageText, lines: Sequence[Line], before: PdfTable | None
) -> list[PdfTable]:
    """The tables of a page, ruled or aligned, from top to bottom. `before`: see open_table."""
    height = page.get_height()
    rulings = page_rulings(page)
    tables = ruled_tables(rulings, text_page)
    goes_on = before is not None and bool(before.gaps)
    if goes_on or has_wide_gaps(lines):  # the boxes of all words take as long as everything else
        words = text.words()
        taken = [table.box for table in tables]
        first = continued_table(words, taken, before) if before is not None else None
        if first is not None and is_head(lines, [first], height):
            tables.append(first)
        tables += aligned_tables(words, rulings, [table.box for table in tables])
    tables.sort(key=lambda table: -table.box[3])
    return mark_continued(lines, tables, before, height)


def _page_lines(pdf: Any, number: int, before: PdfTable | None) -> tuple[list[Line], PdfTable | None]:
    """The lines of a page in the order of its content, and the table that is open at its end; a page that
    cannot be loaded is empty.
    """
    try:
        page = pdf[number]
    except pypdfium2.PdfiumError:
        return [], None
    try:
        height = page.get_height()
        text_page = page.get_textpage()
        try:
            text = PageText(text_page.raw, number, height)
            lines = text.lines()
            if not lines:
                return [], None
            tables = _tables(page, text_page, text, lines, before)
            return place_tables(lines, tables, number, height), open_table(lines, tables, height)
        finally:
            text_page.close()
    except pypdfium2.PdfiumError:
        return [], None
    finally:
        page.close()
