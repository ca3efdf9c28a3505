"""Other people's documents: python-docx's and python-pptx's test files, CPython's mails, Debian's EPUB
and ODT.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from sillar.documents.chunk import chunk_document
from sillar.documents.document import Document
from sillar.documents.ingest.detect import media_type
from sillar.documents.ingest.parse import parse
from sillar.errors import DocumentError
from tests.packages import debian_package, sdist_files

pytestmark = pytest.mark.slow


def read_all(paths: Iterable[Path], suffix: str) -> tuple[dict[str, Document], dict[str, str]]:
    """What was read and what was refused, with the kind of trouble; any other failure is an error here."""
    read, refused = {}, {}
    for path in sorted(paths):
        data = path.read_bytes()
        try:
            document = parse(data, media_type(path.stem + suffix, data))
        except DocumentError as error:
            refused[path.name] = error.kind
            continue
        assert chunk_document(document)
        read[path.name] = document
    return read, refused


def test_word_files() -> None:
    folder = sdist_files(
        "python-docx==1.2.0", "7bc9d7b7d8a69c9c02ca09216118c86552704edc23bac179283f2e38f86220ce", ".docx"
    )
    read, refused = read_all(folder.rglob("*.docx"), ".docx")
    assert len(read) >= 28
    assert set(refused.values()) <= {"empty"}
    assert "Three with link to https://foo.com." in read["par-hlink-frags.docx"].text
    assert read["sct-inner-content.docx"].text.split() == [
        f"{'T' if n in (2, 4) else 'P'}{n}" for n in range(1, 10)
    ]


def test_slides() -> None:
    folder = sdist_files(
        "python-pptx==1.0.2", "479a8af0eaf0f0d76b6f00b0887732874ad2e3188230315290cd1f9dd9cc7095", ".pptx"
    )
    read, refused = read_all(folder.rglob("*.pptx"), ".pptx")
    assert len(read) >= 25
    assert set(refused.values()) <= {"empty"}
    assert "Col head 1: Cell text 1 | Col head 2: Cell text 2" in read["test_slides.pptx"].text
    assert "Group test text" in read["test_slides.pptx"].text


def test_mails() -> None:
    root = debian_package("libpython3.11-testsuite")
    read, refused = read_all(root.rglob("test_email/data/*.txt"), ".eml")
    assert len(read) >= 45
    assert refused == {"msg_19.txt": "damaged"}
    assert "Yadda yadda yadda" in read["msg_05.txt"].text
    assert any("empty" in note for note in read["msg_36.txt"].notes)


def test_book() -> None:
    read, _ = read_all(debian_package("debian-policy").rglob("policy.epub"), ".epub")
    (book,) = read.values()
    assert book.title == "Debian Policy Manual"
    paths = {chunk.headings for chunk in chunk_document(book)}
    assert ("1. About this manual", "1.3. Authors and Maintainers", "1.3.3. Improvements") in paths


def test_open_document() -> None:
    read, refused = read_all(debian_package("live-manual-odf").rglob("*.e[ns].odt"), ".odt")
    assert not refused
    assert len(read) == 2
    spanish = chunk_document(read["live-manual.es.odt"])
    assert sum(chunk.language == "es" for chunk in spanish) > 0.7 * len(spanish)
