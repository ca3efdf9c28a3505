"""All vectors in memory as one float16 matrix, kept equal to the database by row id, scanned by our
kernel.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sillar.documents.store.protocol import Access
from sillar.documents.store.schema import data_version

_BATCH = 4096
_LEAST_GROWTH = 32 << 20
Scan = Callable[[NDArray[np.float32], NDArray[np.float16]], NDArray[np.float32]]
TopK = Callable[[NDArray[np.float32], int], NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class VectorKernels:
    """scan(query [dim], rows [n, dim]) -> scores [n]; top_k(scores [n], k) -> indices [min(k, n)], best
    first.
    """

    scan: Scan
    top_k: TopK


def native_kernels() -> VectorKernels:
    """The engine's SIMD kernels."""
    from sillar.engine import native  # noqa: PLC0415 - tests of logic run without the extension

    return VectorKernels(native.scan_f16, native.top_k)


def matrix_bytes(path: Path) -> int:
    """What the matrix of a store may come to take: half as many rows again, and both copies while it grows.

    At least the growth's 32 MiB, 40,000 passages of 384 values, for a store that is not there yet.
    """
    rows = size = 0
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            query = "SELECT count(*), coalesce(max(length(vector)), 0) FROM chunks"
            rows, size = connection.execute(query).fetchone()
    except sqlite3.Error:
        pass  # opening the index will say what is wrong with it
    return max(_LEAST_GROWTH, rows * size * 3 // 2 * 17 // 8)


class VectorMatrix:
    """Rows sorted by chunk id. `refresh` runs inside the reader's transaction, so that it sees what the
    queries see.
    """

    def __init__(self, dim: int, kernels: VectorKernels) -> None:
        self._dim = dim
        self._kernels = kernels
        self._ids = np.zeros(0, np.int64)
        self._space = np.zeros((0, dim), np.float16)
        self._collections: list[str] = []
        self._collection_of = np.zeros(0, np.int32)
        self._version: tuple[int, int] | None = None

    @property
    def _rows(self) -> NDArray[np.float16]:
        return self._space[: len(self._ids)]

    def refresh(self, connection: sqlite3.Connection) -> None:
        """Brings the matrix up to the database's state: appends new rows, drops those that are gone."""
        now = data_version(connection)
        if now == self._version:
            return
        total = connection.execute("SELECT count(*) FROM chunks").fetchone()[0]
        self._reserve(total)
        self._append(connection, int(self._ids[-1]) if len(self._ids) else -1)
        if len(self._ids) != total:
            self._drop(connection)
        self._version = now

    def load(self, connection: sqlite3.Connection, most: int) -> bool:
        """Reads up to `most` rows that are missing, ahead of a search; answers whether there may be more."""
        self._reserve(connection.execute("SELECT count(*) FROM chunks").fetchone()[0])
        before = len(self._ids)
        self._append(connection, int(self._ids[-1]) if before else -1, most)
        return len(self._ids) - before == most

    def _drop(self, connection: sqlite3.Connection) -> None:
        present = np.fromiter((row[0] for row in connection.execute("SELECT id FROM chunks")), np.int64)
        keep = np.isin(self._ids, present, assume_unique=True)
        if not keep.all():
            self._space = self._rows[keep]
            self._ids, self._collection_of = self._ids[keep], self._collection_of[keep]

    def _append(self, connection: sqlite3.Connection, after: int, most: int = -1) -> None:
        numbers = {name: number for number, name in enumerate(self._collections)}
        query = "SELECT id, vector, collection FROM chunks WHERE id > ? ORDER BY id LIMIT ?"
        cursor = connection.execute(query, (after, most))
        while found := cursor.fetchmany(_BATCH):
            rows = [row for row in found if len(row[1]) == 2 * self._dim]
            for *_, name in rows:
                if name not in numbers:
                    numbers[name] = len(numbers)
                    self._collections.append(name)
            begin, end = len(self._ids), len(self._ids) + len(rows)
            self._reserve(end)
            blob = b"".join(row[1] for row in rows)
            self._space[begin:end] = np.frombuffer(blob, np.float16).reshape(-1, self._dim)
            self._ids = np.concatenate([self._ids, np.array([row[0] for row in rows], np.int64)])
            added = np.array([numbers[row[2]] for row in rows], np.int32)
            self._collection_of = np.concatenate([self._collection_of, added])

    def _reserve(self, count: int) -> None:
        """Room for `count` rows; an eighth more than that, so that few appends copy the whole matrix."""
        if count > len(self._space):
            space = np.empty((count + count // 8, self._dim), np.float16)
            space[: len(self._ids)] = self._rows
            self._space = space

    def search(
        self, query: NDArray[np.float32], k: int, access: Access
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Ids and cosines of the k best rows that `access` allows; the others are out before the best are
        chosen.
        """
        if not len(self._ids):
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        scores = np.asarray(
            self._kernels.scan(np.ascontiguousarray(query, np.float32), self._rows), np.float32
        )
        if access.collections is not None:
            allowed = np.array([access.allows(name) for name in self._collections], bool)
            scores = np.where(allowed[self._collection_of], scores, np.float32(-np.inf))
        best = np.asarray(self._kernels.top_k(scores, min(k, len(scores))), np.int64)
        best = best[np.isfinite(scores[best])]
        return self._ids[best], scores[best]

    def similarities(self, query: NDArray[np.float32], ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Cosines of given chunks; 0 for one that is not there."""
        if not len(self._ids):
            return np.zeros(len(ids), np.float32)
        place = np.clip(np.searchsorted(self._ids, ids), 0, len(self._ids) - 1)
        scores = self._rows[place].astype(np.float32) @ query
        return np.where(self._ids[place] == ids, scores, np.float32(0.0))
