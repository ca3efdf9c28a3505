"""Hostile files in the child process: bombs, foreign entities, encryption, cut-off files. Each is
refused with its reason, nothing is fetched or written, and the next file is read as if nothing had
been.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sillar.documents.ingest.limits import ParserLimits
from sillar.documents.ingest.parser import FileParser
from sillar.errors import DocumentError
from tests.documents import file_maker as make
from tests.documents.fakes import open_index
from tests.documents.pdf_maker import make_pdf

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504)
_XXE = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
_ENTITIES = "".join(f"<!ENTITY {chr(98 + n)} '{f'&{chr(97 + n)};' * 20}'>" for n in range(12))
_LAUGHS = f"<!DOCTYPE x [<!ENTITY a 'ha'>{_ENTITIES}]>"
_DRM = (
    '<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><EncryptedData><CipherData>'
    '<CipherReference URI="book/one.xhtml"/></CipherData></EncryptedData></encryption>'
)
_LOCKED_ODT = "<manifest><file-entry><encryption-data/></file-entry></manifest>"


@pytest.fixture
async def parser() -> AsyncIterator[FileParser]:
    limits = ParserLimits(cpu_seconds=4, wall_seconds=60, memory_bytes=900 << 20)
    async with FileParser(limits) as parser:
        yield parser


def bomb(name: str, size: int) -> bytes:
    return make.make_zip({"mimetype": "application/epub+zip", name: bytes(size)})


def nested(depth: int) -> bytes:
    data = make.make_zip({"text.txt": "The innermost text."})
    for _ in range(depth):
        data = make.make_zip({"inner.zip": data})
    return data


def flagged_zip() -> bytes:
    """A zip whose entry says that it is encrypted."""
    data = bytearray(make.make_zip({"a.txt": "secret"}, stored=True))
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + at] |= 1
    return bytes(data)


def pdf_bomb() -> bytes:
    """A page whose content unpacks to hundreds of megabytes of drawing."""
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(b"0 0 m 9 9 l S " * 100_000) for _ in range(200)) + packer.flush()
    packed = zlib.compress(packed, 9)
    plain = make_pdf([[(10, 700, "MARK")]])
    at = plain.index(b"<< /Length"), plain.index(b"endstream")
    head = b"<< /Length %d /Filter [/FlateDecode /FlateDecode] >>\nstream\n" % len(packed)
    return plain[: at[0]] + head + packed + b"\n" + plain[at[1] :]


HOSTILE = {
    "bomb.epub": (bomb("book/a.xhtml", 400 << 20), "too_large", "MiB"),
    "bomb.docx": (
        make.edit_zip(make.make_docx(), {"word/media/x.bin": bytes(300 << 20)}),
        "too_large",
        "MiB",
    ),
    "many.zip": (make.make_zip({f"{n}.txt": b"" for n in range(21_000)}), "too_large", "files"),
    "nested.zip": (nested(6), "unsupported", "nested too deeply"),
    "laughs.odt": (make.make_zip({"content.xml": f"{_LAUGHS}<x>&l;</x>"}), "damaged", "XML"),
    "old.doc": (_OLE, "unsupported", "before 2007"),
    "locked.docx": (_OLE + "EncryptedPackage".encode("utf-16-le"), "encrypted", "password"),
    "locked.zip": (flagged_zip(), "encrypted", "password"),
    "locked.odt": (make.make_odt("<office:text/>", manifest=_LOCKED_ODT), "encrypted", "password"),
    "locked.epub": (make.make_epub({"one.xhtml": "<p>x</p>"}, encryption=_DRM), "encrypted", "DRM"),
    "cut.docx": (make.make_docx()[:9_000], "damaged", "damaged"),
    "cut.xlsx": (make.make_xlsx()[:2_000], "damaged", "damaged"),
    "rubbish.pptx": (b"PK\x03\x04" + bytes(2_000), "damaged", "damaged"),
    "text.docx": (b"just text", "damaged", "not what its name says"),
    "empty.docx": (b"", "empty", "empty"),
    "not.eml": (b"\n\nno header at all", "damaged", "headers"),
    "not.mbox": (b"no from line", "damaged", "mailbox"),
    "binary.csv": (bytes(range(256)) * 50, "damaged", "binary"),
}


async def test_hostile_files_are_refused_with_their_reason(parser: FileParser, tmp_path: Path) -> None:
    good = tmp_path / "good.txt"
    good.write_text("All is well here.")
    for name, (data, kind, reason) in HOSTILE.items():
        bad = tmp_path / name
        bad.write_bytes(data)
        with pytest.raises(DocumentError, match=reason) as caught:
            await parser.parse(bad)
        assert caught.value.kind == kind, name
        assert (await parser.parse(good)).document.text == "All is well here."
    assert sorted(os.listdir(tmp_path)) == sorted([*HOSTILE, "good.txt"])


@pytest.mark.slow
async def test_a_pdf_bomb_ends_with_its_child(parser: FileParser, tmp_path: Path) -> None:
    bad, good = tmp_path / "bomb.pdf", tmp_path / "good.txt"
    bad.write_bytes(pdf_bomb())
    good.write_text("All is well here.")
    assert bad.stat().st_size < 1 << 20
    with pytest.raises(DocumentError):
        await parser.parse(bad)
    assert (await parser.parse(good)).document.text == "All is well here."


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.docx", make.edit_zip(make.make_docx(), {"word/document.xml": (
            f'{_XXE}<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>'
            "<w:p><w:r><w:t>fine &e;</w:t></w:r></w:p></w:body></w:document>").encode()})),
        ("a.odt", make.make_zip({"mimetype": "application/vnd.oasis.opendocument.text", "content.xml":
            _XXE + '<office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
            'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"><office:body><office:text>'
            "<text:p>fine &e;</text:p></office:text></office:body></office:document-content>"})),
        ("a.xlsx", make.edit_zip(make.make_xlsx(), {"xl/worksheets/sheet1.xml": (
            f'{_XXE}<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
            '<row><c t="inlineStr"><is><t>fine &e;</t></is></c></row></sheetData></worksheet>').encode()})),
        ("a.epub", make.make_epub({"one.xhtml": f"{_XXE}<html><body><p>fine &e;</p></body></html>"})),
    ],
)  # fmt: skip
async def test_no_foreign_entity_is_read(name: str, data: bytes, parser: FileParser, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    try:
        text = (await parser.parse(path)).document.text
    except DocumentError as error:
        text = str(error)
    assert "root:" not in text


async def test_names_that_climb_out_lead_nowhere(parser: FileParser, tmp_path: Path) -> None:
    names = ["../../evil.txt", "/etc/evil.txt", "..\\evil.txt", "sub/../../evil.txt"]
    archive = tmp_path / "inner" / "climb.zip"
    archive.parent.mkdir()
    archive.write_bytes(make.make_zip({name: f"Text of {n}." for n, name in enumerate(names)}))
    document = (await parser.parse(archive)).document
    assert {document.text[b.start : b.end] for b in document.blocks if b.kind == "heading"} == {"evil.txt"}
    assert [*os.listdir(tmp_path), *os.listdir(tmp_path / "inner")] == ["inner", "climb.zip"]
    book = tmp_path / "climb.epub"
    book.write_bytes(make.make_epub({"../../../../etc/passwd.xhtml": "", "one.xhtml": "<p>Inside.</p>"}))
    assert (await parser.parse(book)).document.text == "Inside."


async def test_in_a_folder_they_stop_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    for name in ("locked.docx", "cut.xlsx", "nested.zip", "old.doc"):
        (folder / name).write_bytes(HOSTILE[name][0])
    (folder / "good.csv").write_text("what,cost\ntea,2\n")
    async with open_index(tmp_path / "i.db") as index:
        report = await index.add_folder(folder)
        assert report.read == 1
        assert set(report.failed or ()) == {"locked.docx", "cut.xlsx", "nested.zip", "old.doc"}
        assert (await index.search("cost of tea", 1))[0].text == "what: tea | cost: 2"
