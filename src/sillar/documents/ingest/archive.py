"""Zip archives into one document: a heading a file, read by its own parser; nested archives count as
depth.
"""

from __future__ import annotations

from sillar.documents.document import Document, DocumentBuilder
from sillar.documents.ingest.container import Nesting, safe_label
from sillar.documents.ingest.detect import is_supported
from sillar.documents.ingest.package import LOCKED, open_package
from sillar.errors import DocumentError


def parse_archive(data: bytes, nesting: Nesting) -> Document:
    """All readable files. DocumentError: encrypted, damaged, a bomb, nothing readable inside."""
    package = open_package(data, locked=True)
    builder = DocumentBuilder("application/zip")
    names = [name for name in package.names() if is_supported(name) and not _is_hidden(name)]
    for name in names:
        try:
            content = package.read(name)
        except DocumentError as error:
            builder.notes.append(f"{safe_label(name)}: {error}")
            continue
        nesting.add(builder, name, content, level=1)
    builder.title = ""
    if not builder.blocks:
        if names and all(note.endswith(LOCKED) for note in builder.notes):
            raise DocumentError(LOCKED, "encrypted")
        reason = "; ".join(builder.notes[:3]) or "no file of a kind that is read"
        raise DocumentError(f"Nothing inside can be read ({reason}).", "unsupported")
    return builder.build()


def _is_hidden(name: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in name.replace("\\", "/").split("/"))
