"""The embedded store: documents, chunks, words for BM25 and vectors in one SQLite file, committed
together.
"""

from __future__ import annotations

import json
import os
import sqlite3
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sillar.documents.document import Chunk, Document, Passage
from sillar.documents.language import stem, words
from sillar.documents.store.protocol import (
    Access,
    Candidates,
    DocumentInfo,
    EmbeddedDocument,
    FileFacts,
    FileState,
    StoreCounts,
)
from sillar.documents.store.schema import connect, prepare
from sillar.documents.store.vectors import VectorKernels, VectorMatrix, native_kernels
from sillar.errors import DocumentError

BM25_WEIGHTS = (0.5, 1.0, 0.6)
"""Of the exact words, the stems and the headings."""
_PASSAGE = """
SELECT c.id, c.document_id, d.path, d.title, c.headings, c.text, c.start, c.stop, c.page, c.last_page,
       c.first_line, c.last_line, c.language, c.ordinal
FROM chunks c JOIN documents d ON d.id = c.document_id
"""


_INSERT_DOCUMENT = """
INSERT INTO documents (source_id, path, title, media_type, size, mtime_ns, hash, reason, text, collection)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_INSERT_CHUNK = """
INSERT INTO chunks (document_id, ordinal, start, stop, page, last_page, first_line, last_line, headings,
                    language, text, vector, collection)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_INFO = """
SELECT d.id, s.location, d.path, d.title, d.media_type, d.reason,
       (SELECT count(*) FROM chunks c WHERE c.document_id = d.id)
FROM documents d JOIN sources s ON s.id = d.source_id
"""
_COUNTS = """
SELECT count(*) FILTER (WHERE reason IS NULL), count(reason), (SELECT count(*) FROM chunks) FROM documents
"""


class SqliteStore:
    """Implements store.protocol.Store. Two connections: one writes, one reads a snapshot at a time."""

    def __init__(self, path: Path, fingerprint: str, dim: int, kernels: VectorKernels | None = None) -> None:
        """Opens or makes the store. DocumentError when it was made by another embedder or version."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._writer = connect(path)
        try:
            prepare(self._writer, path)
            self._check_fingerprint(path, fingerprint)
            self._reader = connect(path)
        except BaseException:
            self._writer.close()
            raise
        self._matrix = VectorMatrix(dim, kernels or native_kernels())

    def close(self) -> None:
        """Closes both connections."""
        self._reader.close()
        self._writer.close()

    def _check_fingerprint(self, path: Path, fingerprint: str) -> None:
        with self._transaction(self._writer):
            row = self._writer.execute("SELECT value FROM meta WHERE key = 'embedder'").fetchone()
            if row is None:
                self._writer.execute("INSERT INTO meta VALUES ('embedder', ?)", (fingerprint,))
            elif row[0] != fingerprint:
                raise DocumentError(
                    f"{path} was built with the embedder {row[0]}, not {fingerprint}: "
                    "rebuild the index (--rebuild)."
                )

    @contextmanager
    def _transaction(self, connection: sqlite3.Connection) -> Iterator[None]:
        connection.execute("BEGIN IMMEDIATE" if connection is self._writer else "BEGIN")
        try:
            yield
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    def source(self, location: Path) -> int:
        """The id of a folder, made when it is new."""
        name = os.fsencode(location).decode("utf-8", "backslashreplace")
        with self._transaction(self._writer):
            self._writer.execute("INSERT OR IGNORE INTO sources (location) VALUES (?)", (name,))
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
        self._writer.execute("DELETE FROM documents WHERE source_id = ? AND path = ?", (source_id, path))
        text = zlib.compress(_clean(document.text).encode("utf-8"), 1)
        cursor = self._writer.execute(
            _INSERT_DOCUMENT,
            (source_id, path, _clean(document.title), document.media_type, facts.size, facts.mtime_ns,
             facts.hash, item.failed, text, facts.collection),
        )  # fmt: skip
        vectors = item.vectors.astype(np.float16) if item.vectors is not None else ()
        for ordinal, (chunk, vector) in enumerate(zip(item.chunks, vectors, strict=True)):
            row = self._writer.execute(
                _INSERT_CHUNK,
                (cursor.lastrowid, ordinal, chunk.start, chunk.end, chunk.page, chunk.last_page,
                 *(chunk.lines or (None, None)), json.dumps(chunk.headings), chunk.language,
                 _clean(chunk.text), vector.tobytes(), facts.collection),
            )  # fmt: skip
            self._writer.execute(
                "INSERT INTO chunk_words (rowid, exact, stemmed, headings) VALUES (?, ?, ?, ?)",
                (row.lastrowid, *_searchable(chunk, document.title)),
            )

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
            self._writer.executemany("DELETE FROM documents WHERE id = ?", [(i,) for i in document_ids])

    def candidates(
        self, terms: Sequence[Sequence[str]], vector: NDArray[np.float32], limit: int, access: Access
    ) -> Candidates:
        """The `limit` best by BM25 and by vector, with both scores of each."""
        with self._transaction(self._reader):
            self._matrix.refresh(self._reader)
            ids, scores = self._matrix.search(vector, limit, access)
            similarity = dict(zip(ids.tolist(), scores.tolist(), strict=True))
            match = _match(terms)
            bm25 = dict(self._bm25(match, limit, access)) if match else {}
            rest = [i for i in similarity if i not in bm25]
            if match and rest:
                bm25.update(self._bm25_of(match, rest))
            union = np.array(sorted(similarity.keys() | bm25.keys()), np.int64)
            cosines = self._matrix.similarities(vector, union)
            languages = self._languages(union.tolist())
        exact = np.array([bm25.get(i, 0.0) for i in union.tolist()], np.float32)
        return Candidates(union, cosines, exact, languages)

    def _bm25(self, match: str, limit: int, access: Access) -> list[tuple[int, float]]:
        allowed, parameters = _allowed(access, "c.collection")
        # The filter is in the query: rows that the caller may not see never compete for a place.
        rows = self._reader.execute(
            f"SELECT w.rowid, -bm25(chunk_words, ?, ?, ?) AS score FROM chunk_words w"
            f"{' JOIN chunks c ON c.id = w.rowid' if allowed else ''}"
            f" WHERE chunk_words MATCH ?{allowed} ORDER BY score DESC LIMIT ?",
            (*BM25_WEIGHTS, match, *parameters, limit),
        )
        return [(int(row[0]), float(row[1])) for row in rows]

    def _bm25_of(self, match: str, ids: Sequence[int]) -> list[tuple[int, float]]:
        marks = ",".join("?" * len(ids))
        rows = self._reader.execute(
            "SELECT rowid, -bm25(chunk_words, ?, ?, ?) FROM chunk_words"
            f" WHERE chunk_words MATCH ? AND rowid IN ({marks})",
            (*BM25_WEIGHTS, match, *ids),
        )
        return [(int(row[0]), float(row[1])) for row in rows]

    def _languages(self, ids: Sequence[int]) -> list[str]:
        marks = ",".join("?" * len(ids))
        rows = dict(
            self._reader.execute(f"SELECT id, language FROM chunks WHERE id IN ({marks})", tuple(ids))
        )
        return [rows.get(i, "") for i in ids]

    def document_frequency(self, terms: Sequence[str]) -> tuple[dict[str, int], int]:
        """In how many chunks each word or stem occurs, and how many chunks there are."""
        with self._transaction(self._reader):
            total = int(self._reader.execute("SELECT count(*) FROM chunks").fetchone()[0])
            unique = list(set(terms))
            marks = ",".join("?" * len(unique))
            rows = self._reader.execute(f"SELECT term, doc FROM chunk_terms WHERE term IN ({marks})", unique)
            counts = {str(row[0]): int(row[1]) for row in rows}
        return counts, total

    def passages(self, chunk_ids: Sequence[int], access: Access) -> Mapping[int, Passage]:
        """Chunks with where they come from, without scores."""
        allowed, parameters = _allowed(access, "c.collection")
        marks = ",".join("?" * len(chunk_ids))
        rows = self._reader.execute(f"{_PASSAGE} WHERE c.id IN ({marks}){allowed}", (*chunk_ids, *parameters))
        return {row[0]: _passage(row) for row in rows}

    def neighbours(self, chunk_id: int, access: Access) -> Sequence[Passage]:
        """The chunks right before and after one, of the same document."""
        allowed, parameters = _allowed(access, "c.collection")
        rows = self._reader.execute(
            f"{_PASSAGE} JOIN chunks o ON o.id = ? AND c.document_id = o.document_id"
            f" AND abs(c.ordinal - o.ordinal) = 1 WHERE 1{allowed} ORDER BY c.ordinal",
            (chunk_id, *parameters),
        )
        return [_passage(row) for row in rows]

    def text(self, document_id: int) -> str:
        """The canonical text of a document."""
        row = self._reader.execute("SELECT text FROM documents WHERE id = ?", (document_id,)).fetchone()
        return zlib.decompress(row[0]).decode("utf-8") if row and row[0] else ""

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

    def languages(self) -> list[str]:
        """Languages of the chunks, the commonest first."""
        rows = self._reader.execute("SELECT language FROM chunks GROUP BY language ORDER BY count(*) DESC")
        return [str(row[0]) for row in rows]

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


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")


def _allowed(access: Access, column: str) -> tuple[str, list[str]]:
    if access.collections is None:
        return "", []
    names = sorted(access.collections)
    return f" AND {column} IN ({','.join('?' * len(names))})", names


def _quoted(term: str) -> str:
    return '"' + term.replace('"', "") + '"'


def _match(terms: Sequence[Sequence[str]]) -> str:
    """The FTS5 query: any spelling of any term."""
    return " OR ".join(_quoted(spelling) for term in terms for spelling in term)


def _info(row: Sequence[Any]) -> DocumentInfo:
    return DocumentInfo(row[0], row[1], os.fsdecode(row[2]), row[3], row[4], row[5], row[6])


def _passage(row: Sequence[Any]) -> Passage:
    lines = (row[10], row[11]) if row[10] is not None else None
    return Passage(
        chunk_id=row[0], document_id=row[1], document=os.fsdecode(row[2]), title=row[3],
        headings=tuple(json.loads(row[4])), text=row[5], start=row[6], end=row[7], page=row[8],
        last_page=row[9], lines=lines, language=row[12], score=0.0, similarity=0.0, bm25=0.0,
    )  # fmt: skip
