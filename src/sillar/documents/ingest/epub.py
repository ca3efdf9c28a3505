"""EPUB books into blocks: the chapters of the spine, in reading order, each read as HTML."""

from __future__ import annotations

import posixpath
from typing import Any
from urllib.parse import unquote, urlsplit

from sillar.documents.document import Document, DocumentBuilder
from sillar.documents.ingest.html import parse_html
from sillar.documents.ingest.package import Package, open_package
from sillar.errors import DocumentError

MEDIA_TYPE = "application/epub+zip"
_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_MAX_CHAPTERS = 5_000


def parse_epub(data: bytes) -> Document:
    """Blocks of all chapters. DocumentError: encrypted (DRM), damaged, no EPUB."""
    package = open_package(data)
    rootfile = package.xml(_CONTAINER).find(".//{*}rootfile")
    if rootfile is None or not rootfile.get("full-path"):
        raise DocumentError("It is damaged: it names no package file.", "damaged")
    opf = rootfile.get("full-path")
    root = package.xml(opf)
    title = root.findtext(".//{http://purl.org/dc/elements/1.1/}title") or ""
    builder = DocumentBuilder(MEDIA_TYPE, " ".join(title.split())[:200])
    chapters = _chapters(root, posixpath.dirname(opf))
    locked = _locked(package)
    if chapters and all(chapter in locked for chapter in chapters):
        raise DocumentError("It is encrypted (DRM).", "encrypted")
    for chapter in chapters[:_MAX_CHAPTERS]:
        try:
            builder.extend(parse_html(package.read(chapter)), place=False)
        except DocumentError as error:
            builder.notes.append(f"{chapter}: {error}")
    if not builder.blocks and builder.notes:
        raise DocumentError(builder.notes[0], "damaged")
    return builder.build()


def _chapters(root: Any, base: str) -> list[str]:
    """Names of the spine's documents inside the archive; one that points outside of it is nowhere."""
    items = {item.get("id"): item for item in root.iterfind(".//{*}manifest/{*}item")}
    found = []
    for reference in root.iterfind(".//{*}spine/{*}itemref"):
        item = items.get(reference.get("idref"))
        if (
            item is None
            or "html" not in item.get("media-type", "")
            or "nav" in item.get("properties", "").split()
        ):
            continue
        found.append(posixpath.normpath(posixpath.join(base, unquote(urlsplit(item.get("href", "")).path))))
    return list(dict.fromkeys(found))


def _locked(package: Package) -> set[str]:
    """Entries that are encrypted: DRM; obfuscated fonts are among them too."""
    if _ENCRYPTION not in package.names():
        return set()
    references = package.xml(_ENCRYPTION).iterfind(".//{*}CipherReference")
    return {posixpath.normpath(unquote(reference.get("URI", ""))) for reference in references}
