"""What is known of pages of the web beside their documents: a small table of the embedded store. Each
function runs inside its caller's transaction.

The documents of a source say which pages there are; a row here without its document says nothing.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

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
