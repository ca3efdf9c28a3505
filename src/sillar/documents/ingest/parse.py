"""From bytes and media type to a Document: which parser reads what."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from sillar.documents.document import Document
from sillar.errors import DocumentError

_PARSERS = {
    "text/plain": ("text", "parse_text"),
    "text/markdown": ("markdown", "parse_markdown"),
    "text/html": ("html", "parse_html"),
    "application/pdf": ("pdf", "parse_pdf"),
}


def parse(data: bytes, media_type: str) -> Document:
    """Parses a file's bytes. Raises DocumentError with the reason; run it in a child process (see
    parser.py).
    """
    if media_type not in _PARSERS:
        raise DocumentError(f"Files of the kind {media_type} are not read.")
    module, function = _PARSERS[media_type]
    parser: Callable[[bytes], Document] = getattr(
        import_module(f"sillar.documents.ingest.{module}"), function
    )
    document = parser(data)
    if not document.blocks:
        raise DocumentError("It holds no text.")
    return document
