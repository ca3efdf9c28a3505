"""Scanned pages: read by OCR where it is installed, else marked with what to install."""

from __future__ import annotations

from pathlib import Path

import pypdfium2
import pytest

from sillar.documents.ingest import ocr, parser
from sillar.documents.ingest.parser import FileParser
from sillar.errors import DocumentError
from tests.documents.pdf_maker import make_pdf

TEXT = [(16, 700, "Opening hours"), (12, 640, "The canteen opens at noon and closes at three.")]


def scan(path: Path, *texts: list[tuple[int, int, str]], plain: bool = False) -> None:
    """A PDF whose pages are pictures of text; with `plain`, its first page is text."""
    out = pypdfium2.PdfDocument.new()
    for number, text in enumerate(texts):
        source = pypdfium2.PdfDocument(make_pdf([text]))
        if plain and number == 0:
            out.import_pages(source)
            continue
        picture = pypdfium2.PdfImage.new(out)
        picture.set_bitmap(source[0].render(scale=3))
        picture.set_matrix(pypdfium2.PdfMatrix().scale(595, 842))
        page = out.new_page(595, 842)
        page.insert_obj(picture)
        page.gen_content()
    out.save(path)


@pytest.mark.slow
async def test_a_scan_is_read(tmp_path: Path) -> None:
    if not ocr.available():
        pytest.skip(f"no OCR here: {ocr.HOW_TO_INSTALL}")
    scan(
        tmp_path / "mixed.pdf",
        [(12, 700, "A page of plain text, with words enough to count as a text layer.")],
        TEXT,
        plain=True,
    )
    async with FileParser() as reader:
        document = (await reader.parse(tmp_path / "mixed.pdf")).document
    assert "A page of plain text" in document.text
    assert "noon and closes at three" in document.text.replace("\n", " ") or ocr.available() == "rapidocr"
    assert not document.unread
    block = next(b for b in document.blocks if "noon" in document.text[b.start : b.end])
    assert block.page == 2
    assert block.box is not None
    assert 600 < block.box[1] < block.box[3] < 660


async def test_without_ocr_a_scan_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parser, "available", lambda: "")
    scan(tmp_path / "scan.pdf", TEXT)
    scan(
        tmp_path / "mixed.pdf",
        [(12, 700, "A page of plain text, with words enough to count as a text layer.")],
        TEXT,
        plain=True,
    )
    async with FileParser() as reader:
        with pytest.raises(DocumentError, match="install") as caught:
            await reader.parse(tmp_path / "scan.pdf")
        assert caught.value.kind == "needs_ocr"
        document = (await reader.parse(tmp_path / "mixed.pdf")).document
    assert document.unread == (2,)
    assert "Pages without text: 2." in document.notes[0]
