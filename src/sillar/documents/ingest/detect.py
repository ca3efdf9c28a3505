"""What kind of file this is (by content first, then by name) and how its bytes decode to text."""

from __future__ import annotations

import codecs
import re
from pathlib import PurePath

from sillar.documents.ingest.package import package_kind
from sillar.errors import DocumentError

_OOXML = "application/vnd.openxmlformats-officedocument"
OLE = "application/x-ole-storage"
_ZIPPED = frozenset({f"{_OOXML}.wordprocessingml.document", f"{_OOXML}.presentationml.presentation",
                     f"{_OOXML}.spreadsheetml.sheet", "application/vnd.oasis.opendocument.text",
                     "application/vnd.oasis.opendocument.spreadsheet", "application/epub+zip",
                     "application/zip"})  # fmt: skip
_HTML = re.compile(rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!doctype html|<html)", re.I)
MEDIA_TYPES = {
    ".txt": "text/plain",
    ".text": "text/plain",
    ".log": "text/plain",
    ".rst": "text/plain",
    ".md": "text/markdown",
    ".markdown": "text/markdown",
    ".html": "text/html",
    ".htm": "text/html",
    ".xhtml": "text/html",
    ".pdf": "application/pdf",
    ".docx": f"{_OOXML}.wordprocessingml.document",
    ".docm": f"{_OOXML}.wordprocessingml.document",
    ".pptx": f"{_OOXML}.presentationml.presentation",
    ".pptm": f"{_OOXML}.presentationml.presentation",
    ".xlsx": f"{_OOXML}.spreadsheetml.sheet",
    ".xlsm": f"{_OOXML}.spreadsheetml.sheet",
    ".doc": OLE,
    ".ppt": OLE,
    ".xls": OLE,
    ".odt": "application/vnd.oasis.opendocument.text",
    ".ods": "application/vnd.oasis.opendocument.spreadsheet",
    ".epub": "application/epub+zip",
    ".csv": "text/csv",
    ".tsv": "text/csv",
    ".eml": "message/rfc822",
    ".mbox": "application/mbox",
    ".zip": "application/zip",
}
"""What is read, by a name's suffix. Office formats from before 2007 are known so as to fail with a reason."""
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_META_CHARSET = re.compile(
    rb"<(?:meta|\?xml)[^>]{0,200}?(?:charset|encoding)\s*=\s*[\"']?\s*([\w.:-]{2,40})", re.I
)


def is_supported(name: str) -> bool:
    """Whether files with such a name are read at all."""
    return PurePath(name).suffix.lower() in MEDIA_TYPES


def media_type(name: str, data: bytes) -> str:
    """The media type of a file from its bytes and its name. DocumentError when it is none that is read."""
    if data[:1024].lstrip()[:5] == b"%PDF-":
        return "application/pdf"
    known = MEDIA_TYPES.get(PurePath(name).suffix.lower())
    if known is None:
        raise DocumentError("Files of this kind are not read.", "unsupported")
    if known == OLE or (known in _ZIPPED and data.startswith(b"\xd0\xcf\x11\xe0")):
        return _older_office(known, data)
    if known in _ZIPPED:
        return _zipped(known, data)
    if known == "application/pdf":
        raise DocumentError("It is named .pdf but does not begin like a PDF.", "damaged")
    if known == "text/plain" and _HTML.match(data[:512]):
        return "text/html"
    return known


def _older_office(known: str, data: bytes) -> str:
    """A .doc that is a page or a new document under an old name is read as what it is."""
    if data.startswith(b"PK"):
        return _zipped(known, data)
    if _HTML.match(data[:512]):
        return "text/html"
    return OLE


def _zipped(known: str, data: bytes) -> str:
    if data.startswith(b"PK"):
        found = package_kind(data)
        return found if found in _ZIPPED and (found != "application/zip" or known == OLE) else known
    raise DocumentError("It is damaged, or not what its name says.", "damaged")


def decode(data: bytes, *, markup: bool = False) -> str:
    """Text of bytes in UTF-8, UTF-16/32, a declared charset (`markup`) or Windows-1252.

    Raises DocumentError when the bytes are no text.
    """
    text = _decode(data, markup)
    sample = text[:200_000]
    if sample and len(_CONTROL.findall(sample)) > 0.02 * len(sample):
        raise DocumentError("It holds binary data, not text.", "damaged")
    return _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def _decode(data: bytes, markup: bool) -> str:
    for bom, encoding in _BOMS:
        if data.startswith(bom):
            return data.decode(encoding, errors="replace")
    if guess := _utf16(data[:4000]):
        return data.decode(guess, errors="replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        nearly = error.start >= len(data) - 4
    if nearly:
        return data.decode("utf-8", errors="replace")
    if markup and (declared := _META_CHARSET.search(data[:4096])):
        try:
            return data.decode(declared.group(1).decode("ascii"), errors="replace")
        except (LookupError, UnicodeDecodeError):
            pass
    return data.decode("cp1252", errors="replace")


def _utf16(head: bytes) -> str:
    """UTF-16 without a byte order mark shows as a zero in every other byte."""
    even, odd = head[0::2].count(0), head[1::2].count(0)
    half = max(1, len(head) // 2)
    if odd > 0.6 * half and even < 0.1 * half:
        return "utf-16-le"
    if even > 0.6 * half and odd < 0.1 * half:
        return "utf-16-be"
    return ""
