"""All vectors in memory as one float16 matrix, kept equal to the database by row id, scanned by our
kernel.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sillar.documents.store.protocol import Access

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


class VectorMatrix:
    """Rows sorted by chunk id. `refresh` runs inside the reader's transaction, so that it sees what the
    queries see.
    """

    def __init__(self, dim: int, kernels: VectorKernels) -> None:
        self._dim = dim
        self._kernels = kernels
        self._ids = np.zeros(0, np.int64)
        self._rows = np.zeros((0, dim), np.float16)
        self._collections: list[str] = []
        self._collection_of = np.zeros(0, np.int32)
        self._version: tuple[int, int] | None = None

    def refresh(self, connection: sqlite3.Connection) -> None:
        """Brings the matrix up to the database's state: drops rows that are gone, appends new ones."""
        version = (
            connection.execute("PRAGMA data_version").fetchone()[0],
            connection.total_changes,
        )
        if version == self._version:
            return
        present = np.fromiter(
            (row[0] for row in connection.execute("SELECT id FROM chunks ORDER BY id")), np.int64
        )
        keep = np.isin(self._ids, present, assume_unique=True)
        if not keep.all():
            self._ids, self._rows = self._ids[keep], self._rows[keep]
            self._collection_of = self._collection_of[keep]
        self._append(connection, int(self._ids[-1]) if len(self._ids) else -1)
        self._version = version

    def _append(self, connection: sqlite3.Connection, after: int) -> None:
        ids: list[int] = []
        blobs: list[bytes] = []
        collections: list[int] = []
        numbers = {name: number for number, name in enumerate(self._collections)}
        query = "SELECT id, vector, collection FROM chunks WHERE id > ? ORDER BY id"
        for chunk_id, blob, collection in connection.execute(query, (after,)):
            if len(blob) != 2 * self._dim:
                continue
            ids.append(chunk_id)
            blobs.append(blob)
            if collection not in numbers:
                numbers[collection] = len(numbers)
                self._collections.append(collection)
            collections.append(numbers[collection])
        if not ids:
            return
        rows = np.frombuffer(b"".join(blobs), np.float16).reshape(-1, self._dim)
        self._ids = np.concatenate([self._ids, np.array(ids, np.int64)])
        self._rows = np.ascontiguousarray(np.concatenate([self._rows, rows]))
        self._collection_of = np.concatenate([self._collection_of, np.array(collections, np.int32)])

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
