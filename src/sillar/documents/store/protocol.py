"""What the documents side needs of a store, whether SQLite in a file or PostgreSQL for several machines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sillar.documents.document import Chunk, Document, Passage


@dataclass(frozen=True, slots=True)
class Access:
    """Which collections a caller may see. None: all of them (the owner of the machine, at the command
    line).
    """

    collections: frozenset[str] | None = None

    def allows(self, collection: str) -> bool:
        """Whether documents of `collection` are visible."""
        return self.collections is None or collection in self.collections


EVERYTHING = Access()


@dataclass(frozen=True, slots=True)
class FileState:
    """What the store knows about a file without opening it."""

    document_id: int
    size: int
    mtime_ns: int
    hash: str
    failed: str | None
    """Why it could not be read."""


@dataclass(frozen=True, slots=True)
class FileFacts:
    """A file as it was when it was read."""

    path: str
    size: int
    mtime_ns: int
    hash: str
    collection: str = ""


@dataclass(frozen=True, slots=True)
class EmbeddedDocument:
    """A document ready to be stored: its chunks and their vectors [chunks, dim]; or the reason why it
    failed.
    """

    facts: FileFacts
    document: Document | None
    chunks: Sequence[Chunk]
    vectors: NDArray[np.float32] | None
    failed: str | None = None
    kind: str = ""
    """Of the failure; see DocumentError."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """The union of the best by BM25 and by vector: each with its cosine and its BM25 score (0: no term
    matches).
    """

    ids: NDArray[np.int64]
    similarity: NDArray[np.float32]
    bm25: NDArray[np.float32]
    languages: Sequence[str]


@dataclass(frozen=True, slots=True)
class StoreCounts:
    """What is in a store."""

    documents: int
    failed: int
    chunks: int


@dataclass(frozen=True, slots=True)
class DocumentInfo:
    """A document as a list shows it."""

    document_id: int
    location: str
    """The folder that it came from."""
    path: str
    """Relative to the folder."""
    title: str
    media_type: str
    failed: str | None
    """Why it could not be read."""
    passages: int
    kind: str = ""
    """Of the failure; see DocumentError."""
    notes: Sequence[str] = ()
    """What of it could not be read; of a page of the web, why it could not be fetched again."""
    collection: str = ""
    hash: str = ""
    """SHA-256 of the content."""


@dataclass(frozen=True, slots=True)
class Section:
    """What of a document stands under the same headings: `text[start:end]`."""

    headings: tuple[str, ...]
    start: int
    end: int
    page: int | None
    last_page: int | None


class Store(Protocol):
    """Blocking calls, from one thread at a time for each of reading and writing. One call, one
    transaction.
    """

    def source(self, location: Path, collection: str | None = None) -> int:
        """The id of a folder, made when it is new."""
        ...

    def files(self, source_id: int) -> Mapping[str, FileState]: ...

    def put(self, source_id: int, documents: Sequence[EmbeddedDocument]) -> None:
        """Replaces each document whole, all of them in one transaction."""
        ...

    def touch(self, source_id: int, facts: Sequence[FileFacts]) -> None:
        """New size and time of files whose content did not change."""
        ...

    def move(self, document_id: int, facts: FileFacts) -> None: ...

    def delete(self, document_ids: Sequence[int]) -> None: ...

    def candidates(
        self, terms: Sequence[Sequence[str]], vector: NDArray[np.float32], limit: int, access: Access
    ) -> Candidates:
        """`terms`: for each word of the question its spellings and stems; any of them counts."""
        ...

    def passages(self, chunk_ids: Sequence[int], access: Access) -> Mapping[int, Passage]: ...

    def neighbours(self, chunk_id: int, access: Access) -> Sequence[Passage]:
        """The chunks right before and after one, of the same document."""
        ...

    def counts(self) -> StoreCounts: ...
