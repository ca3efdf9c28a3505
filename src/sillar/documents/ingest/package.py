"""Zip files as packages of documents: opened with limits on what they unpack to; nothing is ever
written to disk.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from dataclasses import dataclass
from typing import Any

from lxml import etree

from sillar.errors import DocumentError

LOCKED = "It is encrypted with a password."
MAX_ENTRIES = 20_000
MAX_UNPACKED = 512 << 20
"""Bytes that all entries together may declare; no entry yields more than it declares."""
_SUSPICIOUS = 64 << 20
_MAX_RATIO = 250
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


@dataclass(frozen=True, slots=True)
class Package:
    """An opened zip file."""

    archive: zipfile.ZipFile

    def names(self) -> list[str]:
        """Entries that are files, in the archive's order."""
        return [info.filename for info in self.archive.infolist() if not info.is_dir()]

    def read(self, name: str) -> bytes:
        """The bytes of an entry. DocumentError: missing, encrypted, damaged."""
        try:
            if self.archive.getinfo(name).flag_bits & 1:
                raise DocumentError(LOCKED, "encrypted")
            return self.archive.read(name)
        except KeyError:
            raise DocumentError(f"It is damaged: {name} is missing.", "damaged") from None
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise DocumentError(f"It is damaged ({error}).", "damaged") from None

    def xml(self, name: str) -> Any:
        """The root element of an entry; no entity is expanded and nothing is fetched."""
        return parse_xml(self.read(name))


def open_package(data: bytes, *, locked: bool = False) -> Package:
    """Opens a zip file; `locked`: also one with encrypted entries, which cannot be read. DocumentError:
    encrypted, damaged, or it would unpack to too much.
    """
    if data.startswith(_OLE):
        raise ole_error(data)
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError, EOFError, NotImplementedError):
        raise DocumentError("It is damaged or cut off.", "damaged") from None
    if len(entries) > MAX_ENTRIES:
        raise DocumentError(f"It holds more than {MAX_ENTRIES:,} files.", "too_large")
    total = sum(entry.file_size for entry in entries)
    if total > MAX_UNPACKED or (total > _SUSPICIOUS and total > _MAX_RATIO * len(data)):
        raise DocumentError(f"It would unpack to {total >> 20:,} MiB.", "too_large")
    if not locked and any(entry.flag_bits & 1 for entry in entries):
        raise DocumentError(LOCKED, "encrypted")
    return Package(archive)


def ole_error(data: bytes) -> DocumentError:
    """Why a compound file is not read: an encrypted document, or an Office format from before 2007."""
    if data.startswith(_OLE) and "EncryptedPackage".encode("utf-16-le") in data:
        return DocumentError(LOCKED, "encrypted")
    return DocumentError(
        "It is in a binary Office format from before 2007: save it as .docx, .xlsx or .pptx.", "unsupported"
    )


def parse_xml(data: bytes) -> Any:
    """The root element. DocumentError when the XML is not well-formed."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False,
                             remove_comments=True, remove_pis=True)  # fmt: skip
    try:
        return etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise DocumentError(f"It is damaged (XML: {error}).", "damaged") from None


def package_kind(data: bytes) -> str:
    """The media type of a zip file by what is inside; "application/zip" when it is no known package."""
    package = open_package(data, locked=True)
    names = set(package.names())
    if "mimetype" in names:
        return package.read("mimetype")[:100].decode("ascii", "replace").strip()
    if "[Content_Types].xml" in names:
        for folder, kind in (("word/", "wordprocessingml.document"), ("ppt/", "presentationml.presentation"),
                             ("xl/", "spreadsheetml.sheet")):  # fmt: skip
            if any(name.startswith(folder) for name in names):
                return f"application/vnd.openxmlformats-officedocument.{kind}"
    return "application/zip"
