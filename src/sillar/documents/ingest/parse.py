"""From bytes and media type to a Document: which parser reads what."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from sillar.documents.document import Document
from sillar.documents.ingest.container import Nesting
from sillar.documents.ingest.package import ole_error
from sillar.errors import DocumentError

_OOXML = "application/vnd.openxmlformats-officedocument"
_PARSERS = {
    "text/plain": ("text", "parse_text"),
    "text/markdown": ("markdown", "parse_markdown"),
    "text/html": ("html", "parse_html"),
    "text/csv": ("spreadsheet", "parse_delimited"),
    "application/pdf": ("pdf", "parse_pdf"),
    f"{_OOXML}.wordprocessingml.document": ("word", "parse_word"),
    f"{_OOXML}.presentationml.presentation": ("slides", "parse_slides"),
    f"{_OOXML}.spreadsheetml.sheet": ("spreadsheet", "parse_xlsx"),
    "application/vnd.oasis.opendocument.text": ("opendocument", "parse_opendocument"),
    "application/vnd.oasis.opendocument.spreadsheet": ("opendocument", "parse_opendocument"),
    "application/epub+zip": ("epub", "parse_epub"),
}
_CONTAINERS = {
    "message/rfc822": ("mail", "parse_eml"),
    "application/mbox": ("mail", "parse_mbox"),
    "application/zip": ("archive", "parse_archive"),
}


def parse(data: bytes, media_type: str, *, ocr: bool = False) -> Document:
    """Parses a file's bytes; `ocr`: pictures of pages too. Raises DocumentError with the reason; run it in
    a child process (see parser.py).
    """
    if ocr and media_type == "application/pdf":
        return _filled(_function("pdf", "parse_pdf")(data, ocr=True))
    return _parse(data, media_type, Nesting(_parse))


def _parse(data: bytes, media_type: str, nesting: Nesting) -> Document:
    if media_type in _CONTAINERS:
        read: Callable[..., Document] = _function(*_CONTAINERS[media_type])
        document = read(data, nesting)
    elif media_type in _PARSERS:
        document = _function(*_PARSERS[media_type])(data)
    elif media_type == "application/x-ole-storage":
        raise ole_error(data)
    else:
        raise DocumentError(f"Files of the kind {media_type} are not read.", "unsupported")
    return _filled(document)


def _filled(document: Document) -> Document:
    if not document.blocks:
        raise DocumentError("It holds no text.", "empty")
    return document


def _function(module: str, name: str) -> Callable[..., Document]:
    """Imported when needed: a child that reads text never loads a parser of slides."""
    function: Callable[..., Document] = getattr(import_module(f"sillar.documents.ingest.{module}"), name)
    return function
