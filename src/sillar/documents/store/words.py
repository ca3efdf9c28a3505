"""BM25 by SQLite's FTS5, one table a collection: a collection's scores and frequencies depend on its
own chunks alone, so that nobody learns from them what others have.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from sillar.documents.store import bm25
from sillar.documents.store.protocol import Access
from sillar.documents.store.schema import data_version

WEIGHTS = (0.5, 1.0, 0.6)
"""Of the exact words, the stems and the headings."""
_POSTINGS = 120_000
"""Rows that a search may score in a collection. Commoner words only add to what rarer ones find."""
_MAX_CACHED = 50_000


class WordTables:
    """The words of every collection. Each call runs inside its caller's transaction."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._frequencies: dict[tuple[int, str], int] = {}
        self._version: object = None

    def number(self, connection: sqlite3.Connection, collection: str) -> int:
        """The collection's number; its tables are made when it is new. A writing transaction."""
        row = connection.execute("SELECT id FROM collections WHERE name = ?", (collection,)).fetchone()
        if row is not None:
            return int(row[0])
        number = connection.execute("INSERT INTO collections (name) VALUES (?)", (collection,)).lastrowid
        assert number is not None
        connection.execute(
            f"CREATE VIRTUAL TABLE words_{number} USING"
            " fts5(exact, stemmed, headings, tokenize = \"unicode61 tokenchars '_'\")"
        )
        connection.execute(f"CREATE VIRTUAL TABLE terms_{number} USING fts5vocab(words_{number}, row)")
        return number

    def insert(
        self, connection: sqlite3.Connection, number: int, chunk: int, texts: tuple[str, str, str]
    ) -> None:
        """The words of one chunk: exact, stemmed, headings."""
        connection.execute(
            f"INSERT INTO words_{number} (rowid, exact, stemmed, headings) VALUES (?, ?, ?, ?)",
            (chunk, *texts),
        )

    def delete_document(self, connection: sqlite3.Connection, document: int) -> None:
        """Takes the words of a document's chunks out; call it before the chunks go."""
        row = connection.execute(
            "SELECT k.id FROM documents d JOIN collections k ON k.name = d.collection WHERE d.id = ?",
            (document,),
        ).fetchone()
        if row is not None:
            connection.execute(
                f"DELETE FROM words_{row[0]} WHERE rowid IN (SELECT id FROM chunks WHERE document_id = ?)",
                (document,),
            )

    def search(
        self, connection: sqlite3.Connection, terms: Sequence[Sequence[str]], limit: int, access: Access
    ) -> dict[int, float]:
        """The best chunks of the allowed collections, with their scores; the others are not looked at."""
        found: dict[int, float] = {}
        spellings = list(dict.fromkeys(spelling for term in terms for spelling in term))
        for number in self._allowed(connection, access):
            chosen = self._selective(connection, number, spellings)
            if not chosen:
                continue
            best = connection.execute(
                f"SELECT rowid, -bm25(words_{number}, ?, ?, ?) AS score FROM words_{number}"
                f" WHERE words_{number} MATCH ? ORDER BY score DESC LIMIT ?",
                (*WEIGHTS, _match(chosen), limit),
            )
            scores = {int(row[0]): float(row[1]) for row in best}
            if len(chosen) < len(spellings):
                scores |= self._of(connection, number, spellings, scores)
            found |= scores
        best_first = sorted(found, key=lambda chunk: -found[chunk])[:limit]
        return {chunk: found[chunk] for chunk in best_first}

    def scores(
        self,
        connection: sqlite3.Connection,
        terms: Sequence[Sequence[str]],
        chunks: Iterable[int],
        access: Access,
    ) -> dict[int, float]:
        """Scores of given chunks, where a term matches."""
        spellings = list(dict.fromkeys(spelling for term in terms for spelling in term))
        wanted = list(chunks)
        found: dict[int, float] = {}
        if spellings and wanted:
            for number in self._allowed(connection, access):
                found |= self._of(connection, number, spellings, wanted)
        return found

    def _of(
        self, connection: sqlite3.Connection, number: int, spellings: Sequence[str], chunks: Iterable[int]
    ) -> dict[int, float]:
        counts = self._counts(connection, number, spellings)
        return bm25.scores(connection, f"words_{number}", list(chunks), counts, WEIGHTS)

    def frequencies(
        self, connection: sqlite3.Connection, terms: Sequence[str], access: Access
    ) -> tuple[dict[str, int], int]:
        """In how many chunks each word or stem occurs, and how many chunks there are, of those allowed."""
        counts: dict[str, int] = {}
        total = 0
        for number in self._allowed(connection, access):
            row = connection.execute(f"SELECT count(*) FROM words_{number}_docsize").fetchone()
            total += int(row[0])
            for term, count in self._counts(connection, number, list(set(terms))).items():
                counts[term] = counts.get(term, 0) + count
        return counts, total

    def _selective(self, connection: sqlite3.Connection, number: int, spellings: Sequence[str]) -> list[str]:
        """The rarest spellings that together match few enough rows, at least one."""
        counts = self._counts(connection, number, spellings)
        chosen: list[str] = []
        rows = 0
        for spelling in sorted((s for s in spellings if counts.get(s)), key=lambda s: counts[s]):
            rows += counts[spelling]
            if chosen and rows > _POSTINGS:
                break
            chosen.append(spelling)
        return chosen

    def _counts(
        self, connection: sqlite3.Connection, number: int, spellings: Sequence[str]
    ) -> dict[str, int]:
        """Chunks of a collection in which each spelling occurs; remembered until the index changes."""
        now = data_version(connection)
        if now != self._version or len(self._frequencies) > _MAX_CACHED:
            self._frequencies.clear()
            self._version = now
        missing = [spelling for spelling in spellings if (number, spelling) not in self._frequencies]
        if missing:
            marks = ",".join("?" * len(missing))
            rows = connection.execute(
                f"SELECT term, doc FROM terms_{number} WHERE term IN ({marks})", missing
            )
            counts = {str(row[0]): int(row[1]) for row in rows}
            self._frequencies.update({(number, spelling): counts.get(spelling, 0) for spelling in missing})
        return {spelling: self._frequencies[number, spelling] for spelling in spellings}

    def _allowed(self, connection: sqlite3.Connection, access: Access) -> list[int]:
        rows = connection.execute("SELECT id, name FROM collections").fetchall()
        return [int(number) for number, name in rows if access.allows(name)]


def _match(spellings: Sequence[str]) -> str:
    """The FTS5 query: any of the spellings."""
    return " OR ".join('"' + spelling.replace('"', "") + '"' for spelling in spellings)
