"""The embedded store: documents, chunks, words for BM25 and vectors in one SQLite file, committed
together.
"""

from __future__ import annotations

import json
import os
import sqlite3
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from sillar.documents.document import Chunk, Document, Passage
from sillar.documents.language import stem, words
from sillar.documents.store import addresses, jobs
from sillar.documents.store.load import (
    PASSAGE,
    load_document,
    load_sections,
    load_text,
    passage_of,
    places_cell,
)
from sillar.documents.store.protocol import (
    EVERYTHING,
    Access,
    Candidates,
    DocumentInfo,
    EmbeddedDocument,
    FileFacts,
    FileState,
    Section,
    StoreCounts,
)
from sillar.documents.store.schema import connect, data_version, prepare
from sillar.documents.store.vectors import VectorKernels, VectorMatrix, native_kernels
from sillar.documents.store.words import WordTables

T = TypeVar("T")

PIPELINE_VERSION = 7
"""Raised when parsers or chunks change, so that indexes are built anew."""

_INSERT_DOCUMENT = """
INSERT INTO documents (source_id, path, title, media_type, size, mtime_ns, hash, reason, kind, notes,
                       text, collection)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_INSERT_CHUNK = """
INSERT INTO chunks (document_id, ordinal, start, stop, places, headings, language, text, vector, collection)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_INFO = """
SELECT d.id, s.location, d.path, d.title, d.media_type, d.reason,
       (SELECT count(*) FROM chunks c WHERE c.document_id = d.id), d.kind, d.notes, d.collection, d.hash,
       a.reason
FROM documents d JOIN sources s ON s.id = d.source_id
LEFT JOIN addresses a ON a.source_id = d.source_id AND a.url = d.path AND d.reason IS NULL
"""
_LANGUAGES = "SELECT collection, language, count(*) FROM chunks GROUP BY collection, language"
_COUNTS = """
SELECT count(*) FILTER (WHERE reason IS NULL), count(reason), (SELECT count(*) FROM chunks) FROM documents
"""


class SqliteStore:
    """Implements store.protocol.Store. Two connections: one writes, one reads a snapshot at a time."""

    def __init__(self, path: Path, fingerprint: str, dim: int, kernels: VectorKernels | None = None) -> None:
        """Opens or makes the store. DocumentError when its tables are another version's (OlderIndexError: an
        older one's).
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        self._writer = connect(path)
        try:
            prepare(self._writer, path)
            made_by = self._made_by(fingerprint)
            self._reader = connect(path)
        except BaseException:
            self._writer.close()
            raise
        self._matrix = VectorMatrix(dim, kernels or native_kernels())
        self._words = WordTables()
        self._languages_of: list[tuple[str, str, int]] = []
        self._languages_at: object = None
        self._comparable = made_by["embedder"] == fingerprint
        """Whether its vectors are the embedder's; if not, it is searched by words alone."""
        self.stale = _why_stale(made_by, fingerprint)
        """Why it should be built anew; "" when there is no reason."""

    def close(self) -> None:
        """Closes both connections."""
        self._reader.close()
        self._writer.close()

    def _made_by(self, fingerprint: str) -> dict[str, str]:
        """What its chunks and vectors were made by; a new store is made by what opens it."""
        with self._transaction(self._writer):
            now = {"embedder": fingerprint, "pipeline": str(PIPELINE_VERSION)}
            self._writer.executemany("INSERT OR IGNORE INTO meta VALUES (?, ?)", now.items())
            return dict(self._writer.execute("SELECT key, value FROM meta").fetchall())

    @contextmanager
    def _transaction(self, connection: sqlite3.Connection) -> Iterator[None]:
        connection.execute("BEGIN IMMEDIATE" if connection is self._writer else "BEGIN")
        try:
            yield
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    def within(self, function: Callable[..., T], *arguments: object) -> T:
        """A function of a small table's module, in a writing transaction of its own."""
        with self._transaction(self._writer):
            return function(self._writer, *arguments)

    def source(self, location: Path, collection: str | None = None) -> int:
        """The id of a folder, made when it is new; `collection`: where its documents belong from now on."""
        name = os.fsencode(location).decode("utf-8", "backslashreplace")
        with self._transaction(self._writer):
            self._writer.execute("INSERT OR IGNORE INTO sources (location) VALUES (?)", (name,))
            if collection is not None:
                self._writer.execute(
                    "UPDATE sources SET collection = ? WHERE location = ? AND collection <> ?",
                    (collection, name, collection),
                )
            row = self._writer.execute("SELECT id FROM sources WHERE location = ?", (name,)).fetchone()
        return int(row[0])

    def files(self, source_id: int) -> Mapping[str, FileState]:
        """Every known file of a source by its relative path."""
        rows = self._writer.execute(
            "SELECT path, id, size, mtime_ns, hash, reason FROM documents WHERE source_id = ?", (source_id,)
        )
        return {os.fsdecode(row[0]): FileState(*row[1:]) for row in rows}

    def put(self, source_id: int, documents: Sequence[EmbeddedDocument]) -> None:
        """Replaces each document whole, all of them in one transaction."""
        with self._transaction(self._writer):
            for item in documents:
                self._put(source_id, item)

    def _put(self, source_id: int, item: EmbeddedDocument) -> None:
        facts, path = item.facts, os.fsencode(item.facts.path)
        document = item.document or Document("", ())
        old = self._writer.execute(
            "SELECT id FROM documents WHERE source_id = ? AND path = ?", (source_id, path)
        ).fetchone()
        if old is not None:
            self._delete(int(old[0]))
        self._writer.execute("DELETE FROM jobs WHERE source_id = ? AND path = ?", (source_id, path))
        words = self._words.number(self._writer, facts.collection)
        text = zlib.compress(_clean(document.text).encode("utf-8"), 1)
        cursor = self._writer.execute(
            _INSERT_DOCUMENT,
            (source_id, path, _clean(document.title), document.media_type, facts.size, facts.mtime_ns,
             facts.hash, item.failed, item.kind, json.dumps(document.notes), text, facts.collection),
        )  # fmt: skip
        vectors = item.vectors.astype(np.float16) if item.vectors is not None else ()
        for ordinal, (chunk, vector) in enumerate(zip(item.chunks, vectors, strict=True)):
            row = self._writer.execute(
                _INSERT_CHUNK,
                (cursor.lastrowid, ordinal, chunk.start, chunk.end, places_cell(chunk.places),
                 json.dumps(chunk.headings), chunk.language, _clean(chunk.text), vector.tobytes(),
                 facts.collection),
            )  # fmt: skip
            assert row.lastrowid is not None
            self._words.insert(self._writer, words, row.lastrowid, _searchable(chunk, document.title))

    def _delete(self, document: int) -> None:
        self._words.delete_document(self._writer, document)
        self._writer.execute("DELETE FROM documents WHERE id = ?", (document,))

    def touch(self, source_id: int, facts: Sequence[FileFacts]) -> None:
        """New size and time of files whose content did not change."""
        with self._transaction(self._writer):
            self._writer.executemany(
                "UPDATE documents SET size = ?, mtime_ns = ? WHERE source_id = ? AND path = ?",
                [(f.size, f.mtime_ns, source_id, os.fsencode(f.path)) for f in facts],
            )

    def move(self, document_id: int, facts: FileFacts) -> None:
        """Gives a document a new path; its chunks stay."""
        with self._transaction(self._writer):
            self._writer.execute(
                "UPDATE documents SET path = ?, size = ?, mtime_ns = ? WHERE id = ?",
                (os.fsencode(facts.path), facts.size, facts.mtime_ns, document_id),
            )

    def delete(self, document_ids: Sequence[int]) -> None:
        """Removes documents with their chunks, words and vectors."""
        with self._transaction(self._writer):
            for document in document_ids:
                self._delete(document)

    def begin_jobs(self, source_id: int, paths: Sequence[str], collection: str) -> None:
        """The files of a source that are to be read now."""
        with self._transaction(self._writer):
            jobs.begin(self._writer, source_id, paths, collection)

    def advance(self, source_id: int, paths: Sequence[str], stage: jobs.Stage) -> None:
        """Moves files that are being read to their next stage."""
        with self._transaction(self._writer):
            jobs.advance(self._writer, source_id, paths, stage)

    def jobs(self, access: Access) -> list[jobs.FileJob]:
        """Files on their way into the store."""
        return jobs.jobs(self._reader, access)

    def sources(self) -> list[tuple[str, str]]:
        """(location, collection) of every folder and list."""
        return [
            (str(row[0]), str(row[1]))
            for row in self._reader.execute("SELECT location, collection FROM sources")
        ]

    def outdate(self) -> None:
        """Marks everything as to be read again: the store is stale when it is opened next."""
        with self._transaction(self._writer):
            self._writer.execute("UPDATE meta SET value = '0' WHERE key = 'pipeline'")

    def adopt_sources(self, sources: Sequence[tuple[str, str]]) -> None:
        """Sources of an older file, whose documents are still to be read: the store is stale at once."""
        with self._transaction(self._writer):
            self._writer.executemany(
                "INSERT OR IGNORE INTO sources (location, collection) VALUES (?, ?)", sources
            )
            self._writer.execute("UPDATE meta SET value = '0' WHERE key = 'pipeline'")

    def paths(self, location: str) -> list[str]:
        """Paths of a source's documents, failed ones too."""
        rows = self._reader.execute(
            "SELECT d.path FROM documents d JOIN sources s ON s.id = d.source_id WHERE s.location = ?"
            " ORDER BY d.id", (location,)
        )  # fmt: skip
        return [os.fsdecode(row[0]) for row in rows]

    def addresses(self, location: str) -> dict[str, addresses.Address]:
        """What is known of the pages of a source of the web."""
        row = self._reader.execute("SELECT id FROM sources WHERE location = ?", (location,)).fetchone()
        return {} if row is None else addresses.read(self._reader, int(row[0]))

    def load(self, location: str, paths: Sequence[str]) -> list[EmbeddedDocument]:
        """Documents as they were stored, without vectors."""
        return [load_document(self._reader, location, path) for path in paths]

    def set_readers(self, collection: str, readers: Sequence[str]) -> None:
        """Who may read a collection: names of keys or tenants, or "*"."""
        with self._transaction(self._writer):
            jobs.set_readers(self._writer, collection, readers)

    def readers(self) -> dict[str, list[str]]:
        """Collection -> its readers."""
        return jobs.readers(self._reader)

    def readable(self, names: Sequence[str]) -> frozenset[str]:
        """The collections that any of these names may read."""
        return jobs.readable(self._reader, names)

    def candidates(
        self, terms: Sequence[Sequence[str]], vector: NDArray[np.float32], limit: int, access: Access
    ) -> Candidates:
        """The `limit` best by BM25 and by vector, with both scores of each."""
        with self._transaction(self._reader):
            similarity = {}
            if self._comparable:
                self._matrix.refresh(self._reader)
                ids, scores = self._matrix.search(vector, limit, access)
                similarity = dict(zip(ids.tolist(), scores.tolist(), strict=True))
            bm25 = self._words.search(self._reader, terms, limit, access)
            rest = [i for i in similarity if i not in bm25]
            bm25 |= self._words.scores(self._reader, terms, rest, access)
            union = np.array(sorted(similarity.keys() | bm25.keys()), np.int64)
            cosines = np.zeros(len(union), np.float32)
            if self._comparable:
                cosines = self._matrix.similarities(vector, union)
            languages = self._languages(union.tolist())
        exact = np.array([bm25.get(i, 0.0) for i in union.tolist()], np.float32)
        return Candidates(union, cosines, exact, languages)

    def load_vectors(self, most: int) -> bool:
        """Reads up to `most` vectors into memory, ahead of a search; answers whether there may be more."""
        with self._transaction(self._reader):
            return self._comparable and self._matrix.load(self._reader, most)

    def _languages(self, ids: Sequence[int]) -> list[str]:
        marks = ",".join("?" * len(ids))
        rows = dict(
            self._reader.execute(f"SELECT id, language FROM chunks WHERE id IN ({marks})", tuple(ids))
        )
        return [rows.get(i, "") for i in ids]

    def document_frequency(
        self, terms: Sequence[str], access: Access = EVERYTHING
    ) -> tuple[dict[str, int], int]:
        """In how many chunks each word or stem occurs, and how many chunks there are, of those allowed."""
        with self._transaction(self._reader):
            return self._words.frequencies(self._reader, terms, access)

    def passages(self, chunk_ids: Sequence[int], access: Access) -> Mapping[int, Passage]:
        """Chunks with where they come from, without scores."""
        allowed, parameters = _allowed(access, "c.collection")
        marks = ",".join("?" * len(chunk_ids))
        rows = self._reader.execute(f"{PASSAGE} WHERE c.id IN ({marks}){allowed}", (*chunk_ids, *parameters))
        return {row[0]: passage_of(row) for row in rows}

    def neighbours(self, chunk_id: int, access: Access) -> Sequence[Passage]:
        """The chunks right before and after one, of the same document."""
        allowed, parameters = _allowed(access, "c.collection")
        rows = self._reader.execute(
            f"{PASSAGE} JOIN chunks o ON o.id = ? AND c.document_id = o.document_id"
            f" AND abs(c.ordinal - o.ordinal) = 1 WHERE 1{allowed} ORDER BY c.ordinal",
            (chunk_id, *parameters),
        )
        return [passage_of(row) for row in rows]

    def text(self, document_id: int) -> str:
        """The canonical text of a document."""
        return load_text(self._reader, document_id)

    def sections(self, document_id: int) -> list[Section]:
        """What a document is divided into, in its order."""
        return load_sections(self._reader, document_id)

    def documents(self, access: Access) -> list[DocumentInfo]:
        """All documents that the caller may see, failed ones too, by path."""
        allowed, parameters = _allowed(access, "d.collection")
        rows = self._reader.execute(f"{_INFO} WHERE 1{allowed} ORDER BY d.path", parameters)
        return [_info(row) for row in rows]

    def document(self, document_id: int, access: Access) -> DocumentInfo | None:
        """One document; None where there is none that the caller may see."""
        allowed, parameters = _allowed(access, "d.collection")
        row = self._reader.execute(f"{_INFO} WHERE d.id = ?{allowed}", (document_id, *parameters)).fetchone()
        return None if row is None else _info(row)

    def languages(self, access: Access = EVERYTHING) -> list[str]:
        """Languages of the chunks that the caller may see, the commonest first."""
        now = data_version(self._reader)
        if self._languages_at != now:
            self._languages_of = self._reader.execute(_LANGUAGES).fetchall()
            self._languages_at = now
        counts: Counter[str] = Counter()
        for collection, language, count in self._languages_of:
            if access.allows(collection):
                counts[language] += count
        return [language for language, _ in counts.most_common()]

    def counts(self) -> StoreCounts:
        """What is in the store."""
        row = self._reader.execute(_COUNTS).fetchone()
        return StoreCounts(int(row[0]), int(row[1]), int(row[2]))


def _searchable(chunk: Chunk, title: str) -> tuple[str, str, str]:
    """The words, the stems and the headings' stems of a chunk, as BM25 sees them."""
    exact = words(chunk.text)
    stemmed = [stem(word, chunk.language) for word in exact]
    headings = [stem(word, chunk.language) for word in words(" ".join(chunk.headings) or title)]
    return " ".join(exact), " ".join(stemmed), " ".join(headings)


def _why_stale(made_by: Mapping[str, str], fingerprint: str) -> str:
    if made_by["embedder"] != fingerprint:
        return f"it was built with the embedder {made_by['embedder']}, not {fingerprint}"
    if made_by["pipeline"] != str(PIPELINE_VERSION):
        return "it was built by other parsers"
    return ""


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")


def _allowed(access: Access, column: str) -> tuple[str, list[str]]:
    if access.collections is None:
        return "", []
    names = sorted(access.collections)
    return f" AND {column} IN ({','.join('?' * len(names))})", names


def _info(row: Sequence[Any]) -> DocumentInfo:
    notes = (*json.loads(row[8]), *filter(None, [row[11]]))
    return DocumentInfo(row[0], row[1], os.fsdecode(row[2]), row[3], row[4], row[5], row[6], row[7],
                        notes, row[9], row[10])  # fmt: skip
