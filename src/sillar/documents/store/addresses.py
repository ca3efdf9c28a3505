"""What is known of pages of the web beside their documents: a small table of the embedded store. Each
function but `old_pages` runs inside its caller's transaction.

The documents of a source say which pages there are; a row here without its document says nothing.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from sillar.documents.store import jobs

TABLE = """
CREATE TABLE IF NOT EXISTS addresses (
  source_id INTEGER NOT NULL REFERENCES sources(id) ON DELETE CASCADE,
  url BLOB NOT NULL,
  hash TEXT NOT NULL,
  name TEXT NOT NULL,
  etag TEXT NOT NULL,
  modified TEXT NOT NULL,
  reason TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (source_id, url)
) WITHOUT ROWID
"""


@dataclass(frozen=True, slots=True)
class Address:
    """A page as it was fetched last."""

    url: str
    hash: str
    """Of the content that the rest speaks of: validators hold for a document of that hash only."""
    name: str
    """A file name that says the content's kind."""
    etag: str = ""
    modified: str = ""
    reason: str = ""
    """Why the last attempt failed; the document is what was fetched before."""


def read(connection: sqlite3.Connection, source_id: int) -> dict[str, Address]:
    """The pages of a source by their address."""
    rows = connection.execute(
        "SELECT url, hash, name, etag, modified, reason FROM addresses WHERE source_id = ?", (source_id,)
    )
    return {os.fsdecode(row[0]): Address(os.fsdecode(row[0]), *row[1:]) for row in rows}


def put(connection: sqlite3.Connection, source_id: int, pages: Iterable[Address]) -> None:
    """What was learnt of some pages; rows whose document is gone go too."""
    connection.executemany(
        "INSERT OR REPLACE INTO addresses VALUES (?, ?, ?, ?, ?, ?, ?)",
        [(source_id, os.fsencode(p.url), p.hash, p.name, p.etag, p.modified, p.reason) for p in pages],
    )
    connection.execute(
        "DELETE FROM addresses WHERE source_id = ? AND url NOT IN"
        " (SELECT path FROM documents WHERE source_id = ?)",
        (source_id, source_id),
    )


def hashes(connection: sqlite3.Connection, source_id: int) -> set[str]:
    """Of the content of every document of a source."""
    rows = connection.execute("SELECT hash FROM documents WHERE source_id = ?", (source_id,))
    return {str(row[0]) for row in rows}


@dataclass(frozen=True, slots=True)
class OldPage:
    """A page of an older version's file, without its text."""

    source: str
    collection: str
    address: Address
    size: int = 0
    failed: str | None = None
    queued: bool = False


def old_pages(connection: sqlite3.Connection) -> list[OldPage]:
    """Pages of an older version's file, those that were still to be fetched too; none where its tables
    have other columns.
    """
    try:
        rows = connection.execute(
            "SELECT s.location, d.collection, d.path, d.hash, coalesce(a.name, ''), coalesce(a.etag, ''),"
            " coalesce(a.modified, ''), coalesce(a.reason, ''), d.size, d.reason, 0"
            " FROM documents d JOIN sources s ON s.id = d.source_id AND s.location LIKE 'web:%'"
            " LEFT JOIN addresses a ON a.source_id = s.id AND a.url = d.path UNION ALL"
            " SELECT s.location, j.collection, j.path, '', '', '', '', '', 0, NULL, 1"
            " FROM jobs j JOIN sources s ON s.id = j.source_id AND s.location LIKE 'web:%'"
        ).fetchall()
    except sqlite3.DatabaseError:
        return []
    return [OldPage(row[0], row[1], Address(os.fsdecode(row[2]), *row[3:8]), row[8], row[9], bool(row[10]))
            for row in rows]  # fmt: skip


def adopt(connection: sqlite3.Connection, pages: Iterable[OldPage]) -> None:
    """Pages of an older file, whose content is still to be read again from what was kept of them."""
    for page in pages:
        connection.execute(
            "INSERT OR IGNORE INTO sources (location, collection) VALUES (?, ?)",
            (page.source, page.collection),
        )
        (source,) = connection.execute("SELECT id FROM sources WHERE location = ?", (page.source,)).fetchone()
        if page.queued:
            jobs.add(connection, source, [page.address.url], page.collection)
            continue
        connection.execute(
            "INSERT OR IGNORE INTO documents (source_id, path, size, mtime_ns, hash, reason, collection)"
            " VALUES (?, ?, ?, 0, ?, ?, ?)",
            (
                source,
                os.fsencode(page.address.url),
                page.size,
                page.address.hash,
                page.failed,
                page.collection,
            ),
        )
        if page.address.name:
            put(connection, source, [page.address])
