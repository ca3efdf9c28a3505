"""Readers of collections changed from outside of a running server: on the file alone, without an embedder."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from sillar.documents.store import jobs
from sillar.documents.store.schema import connect, prepare
from sillar.errors import ConfigError, DocumentError

_LOCK_SECONDS = 5


def read_readers(path: Path) -> dict[str, list[str]]:
    """Collection -> its readers, of an index file. Raises DocumentError where it is none."""
    with _opened(path) as connection:
        return jobs.readers(connection)


def change_readers(path: Path, collection: str, allow: Sequence[str], deny: Sequence[str]) -> None:
    """Adds and takes away readers. Raises ConfigError where there is no such collection, DocumentError where
    the index is being rebuilt: what changes then would be forgotten.
    """
    try:
        with FileLock(f"{path}.lock").acquire(timeout=_LOCK_SECONDS), _opened(path) as connection:
            connection.execute("BEGIN IMMEDIATE")
            before = jobs.readers(connection)
            if not collection or collection not in before:
                raise ConfigError(f"there is no collection {collection!r}")
            after = (set(before[collection]) | set(allow)) - set(deny)
            jobs.set_readers(connection, collection, after)
            connection.execute("COMMIT")
    except Timeout:
        raise DocumentError(f"{path} is being rebuilt: try again when that is done.") from None


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(connect(path)) as connection:
        prepare(connection, path)
        yield connection
