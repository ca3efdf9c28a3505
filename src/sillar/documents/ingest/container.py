"""Documents inside documents (attachments, archives): each read by its own parser, within limits on
number, size and depth; one that cannot be read leaves a note and stops nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath

from sillar.documents.document import Document, DocumentBuilder
from sillar.documents.ingest.detect import is_supported, media_type
from sillar.errors import DocumentError

Parse = Callable[[bytes, str, "Nesting"], Document]
"""(bytes, media type, what is left of the limits) -> document."""


@dataclass(slots=True)
class Nesting:
    """What documents inside one file may still cost, together."""

    parse: Parse
    depth: int = 3
    files: int = 2_000
    size: int = 512 << 20

    def add(self, builder: DocumentBuilder, name: str, data: bytes, *, level: int) -> None:
        """Appends the document under a heading with its name, or a note that says why it was not read."""
        label = safe_label(name)
        try:
            document = self._read(label, data)
        except DocumentError as error:
            builder.notes.append(f"{label}: {error}")
            return
        except (RecursionError, MemoryError):
            builder.notes.append(f"{label}: It takes more memory than is allowed.")
            return
        builder.add("heading", label, level=level)
        builder.extend(document, deeper=level, place=False)

    def _read(self, name: str, data: bytes) -> Document:
        self.files -= 1
        self.size -= len(data)
        if self.depth <= 0:
            raise DocumentError("It is nested too deeply.", "limits")
        if self.files < 0 or self.size < 0:
            raise DocumentError("There is too much inside this file.", "limits")
        if not is_supported(name):
            raise DocumentError("Files of this kind are not read.", "unsupported")
        if not data.strip():
            raise DocumentError("It is empty.", "empty")
        self.depth -= 1
        try:
            return self.parse(data, media_type(name, data), self)
        finally:
            self.depth += 1


def safe_label(name: str) -> str:
    """The last part of a path that stands in a file, harmless to show; the path itself is never used."""
    last = PurePosixPath(name.replace("\\", "/")).name
    return "".join(c for c in last if c.isprintable())[:150].strip() or "unnamed"
