"""What is on its way into the index, file by file, and who may read which collection: small tables of
the embedded store. Each function runs inside its caller's transaction.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from sillar.documents.store.protocol import Access

Stage = Literal["found", "fetching", "parsing", "chunking", "embedding"]
"""What follows is in the documents' table: stored, or failed with its reason."""
EVERYONE = "*"


@dataclass(frozen=True, slots=True)
class FileJob:
    """A file that is not in the index yet."""

    location: str
    path: str
    stage: str
    collection: str


def begin(connection: sqlite3.Connection, source_id: int, paths: Iterable[str], collection: str) -> None:
    """Replaces the jobs of a source: whatever an interrupted run left, these are the files to read now."""
    connection.execute("DELETE FROM jobs WHERE source_id = ?", (source_id,))
    connection.executemany(
        "INSERT INTO jobs VALUES (?, ?, 'found', ?)", [(source_id, os.fsencode(p), collection) for p in paths]
    )


def add(connection: sqlite3.Connection, source_id: int, paths: Iterable[str], collection: str) -> None:
    """Adds to the jobs of a source."""
    connection.executemany(
        "INSERT OR IGNORE INTO jobs VALUES (?, ?, 'found', ?)",
        [(source_id, os.fsencode(path), collection) for path in paths],
    )


def end(connection: sqlite3.Connection, source_id: int, paths: Iterable[str]) -> None:
    """Takes out jobs that left nothing to store."""
    connection.executemany(
        "DELETE FROM jobs WHERE source_id = ? AND path = ?", [(source_id, os.fsencode(p)) for p in paths]
    )


def advance(connection: sqlite3.Connection, source_id: int, paths: Iterable[str], stage: Stage) -> None:
    """Moves files to their next stage."""
    connection.executemany(
        "UPDATE jobs SET stage = ? WHERE source_id = ? AND path = ?",
        [(stage, source_id, os.fsencode(path)) for path in paths],
    )


def jobs(connection: sqlite3.Connection, access: Access) -> list[FileJob]:
    """The files on their way that a caller may see."""
    rows = connection.execute(
        "SELECT s.location, j.path, j.stage, j.collection FROM jobs j JOIN sources s ON s.id = j.source_id"
        " ORDER BY s.location, j.path"
    )
    found = [FileJob(row[0], os.fsdecode(row[1]), row[2], row[3]) for row in rows]
    return [job for job in found if access.allows(job.collection)]


def set_readers(connection: sqlite3.Connection, collection: str, readers: Iterable[str]) -> None:
    """Who may read a collection from now on: names of keys or tenants, or EVERYONE."""
    connection.execute("DELETE FROM readers WHERE collection = ?", (collection,))
    connection.executemany("INSERT INTO readers VALUES (?, ?)", [(collection, name) for name in set(readers)])


def readers(connection: sqlite3.Connection) -> dict[str, list[str]]:
    """Collection -> its readers, for every collection that has documents or readers."""
    found: dict[str, list[str]] = {
        str(row[0]): [] for row in connection.execute("SELECT name FROM collections ORDER BY name")
    }
    for collection, reader in connection.execute("SELECT collection, reader FROM readers ORDER BY 1, 2"):
        found.setdefault(str(collection), []).append(str(reader))
    return found


def readable(connection: sqlite3.Connection, names: Iterable[str]) -> frozenset[str]:
    """The collections that any of these names, or everyone, may read."""
    wanted = [EVERYONE, *names]
    marks = ",".join("?" * len(wanted))
    rows = connection.execute(f"SELECT collection FROM readers WHERE reader IN ({marks})", wanted)
    return frozenset(str(row[0]) for row in rows)
