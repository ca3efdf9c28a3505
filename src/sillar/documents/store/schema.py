"""The tables of the embedded store, and the connection settings that make it safe against kill -9."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from sillar.documents.store import addresses
from sillar.errors import DocumentError

SCHEMA_VERSION = 3

_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE sources (
  id INTEGER PRIMARY KEY,
  location TEXT NOT NULL UNIQUE,
  collection TEXT NOT NULL DEFAULT ''
);
CREATE TABLE collections (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE readers (
  collection TEXT NOT NULL,
  reader TEXT NOT NULL,
  PRIMARY KEY (collection, reader)
) WITHOUT ROWID;
CREATE TABLE jobs (
  source_id INTEGER NOT NULL REFERENCES sources(id) ON DELETE CASCADE,
  path BLOB NOT NULL,
  stage TEXT NOT NULL,
  collection TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (source_id, path)
) WITHOUT ROWID;
CREATE TABLE documents (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  source_id INTEGER NOT NULL REFERENCES sources(id) ON DELETE CASCADE,
  path BLOB NOT NULL,
  title TEXT NOT NULL DEFAULT '',
  media_type TEXT NOT NULL DEFAULT '',
  language TEXT NOT NULL DEFAULT '',
  size INTEGER NOT NULL,
  mtime_ns INTEGER NOT NULL,
  hash TEXT NOT NULL,
  reason TEXT,
  kind TEXT NOT NULL DEFAULT '',
  notes TEXT NOT NULL DEFAULT '[]',
  text BLOB,
  collection TEXT NOT NULL DEFAULT '',
  UNIQUE (source_id, path)
);
CREATE INDEX documents_by_hash ON documents(hash);
CREATE TABLE chunks (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  document_id INTEGER NOT NULL REFERENCES documents(id) ON DELETE CASCADE,
  ordinal INTEGER NOT NULL,
  start INTEGER NOT NULL,
  stop INTEGER NOT NULL,
  places TEXT NOT NULL,
  headings TEXT NOT NULL,
  language TEXT NOT NULL,
  text TEXT NOT NULL,
  vector BLOB NOT NULL,
  collection TEXT NOT NULL DEFAULT ''
);
CREATE INDEX chunks_by_language ON chunks(collection, language);
CREATE INDEX chunks_by_document ON chunks(document_id, ordinal);
"""


def connect(path: Path) -> sqlite3.Connection:
    """A connection in WAL mode with explicit transactions. Raises DocumentError when the file is no store."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=30.0, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA recursive_triggers = ON")
        connection.execute("PRAGMA cache_size = -65536")
    except sqlite3.DatabaseError as error:
        connection.close()
        raise DocumentError(f"{path} is no index that can be opened: {error}.") from None
    return connection


def data_version(connection: sqlite3.Connection) -> tuple[int, int]:
    """Changes whenever what `connection` reads may have changed."""
    return connection.execute("PRAGMA data_version").fetchone()[0], connection.total_changes


def prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Creates the tables in an empty store. Raises OlderIndexError when the store has an older version's
    tables, DocumentError when it has a newer one's.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            for statement in _statements():
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        if version in (0, SCHEMA_VERSION):
            connection.execute(addresses.TABLE)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    if 0 < version < SCHEMA_VERSION:
        raise OlderIndexError(f"{path} was written by an older version of Sillar: index the folder again.")
    if version > SCHEMA_VERSION:
        raise DocumentError(f"{path} was written by a newer version of Sillar.")


class OlderIndexError(DocumentError):
    """An index file that has to be built again from its sources."""


def old_content(path: Path) -> tuple[list[tuple[str, str]], list[addresses.OldPage]]:
    """(location, collection) of the sources of an older version's file, whatever columns it has, and its
    pages of the web.
    """
    connection = connect(path)
    try:
        return _old_sources(connection), addresses.old_pages(connection)
    finally:
        connection.close()


def _old_sources(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    try:
        columns = {row[1] for row in connection.execute("PRAGMA table_info(documents)")}
        collection = "max(d.collection)" if "collection" in columns else "''"
        rows = connection.execute(
            f"SELECT s.location, {collection} FROM sources s"
            " JOIN documents d ON d.source_id = s.id GROUP BY s.id"
        )
        return [(str(row[0]), str(row[1])) for row in rows]
    except sqlite3.DatabaseError:
        return []


def _statements() -> list[str]:
    statements: list[str] = []
    pending = ""
    for line in _TABLES.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            statements.append(pending)
            pending = ""
    return statements
