"""Vectors of texts kept between evaluations: a second run embeds nothing and gets the same figures."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import platformdirs
from numpy.typing import NDArray

from sillar.documents.interfaces import TextEmbedder


def default_path() -> Path:
    """In the user's cache folder."""
    return platformdirs.user_cache_path("sillar") / "evaluations" / "vectors.db"


class CachedEmbedder:
    """A TextEmbedder that asks `embedder` only for texts that it never embedded before.

    Keyed by the embedder's fingerprint, the kind and the text; float32, as they came.
    """

    def __init__(self, embedder: TextEmbedder, path: Path | None = None) -> None:
        self._embedder = embedder
        path = path or default_path()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, timeout=60)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB) WITHOUT ROWID"
        )
        self._known: dict[bytes, NDArray[np.float32]] = {}

    @property
    def dim(self) -> int:
        return self._embedder.dim

    @property
    def fingerprint(self) -> str:
        return self._embedder.fingerprint

    async def embed(self, texts: Sequence[str], kind: Literal["query", "passage"]) -> NDArray[np.float32]:
        """[texts, dim], unit length."""
        keys = [self._key(text, kind) for text in texts]
        missing = {key: text for key, text in zip(keys, texts, strict=True) if not self._has(key)}
        if missing:
            vectors = await self._embedder.embed(list(missing.values()), kind)
            with self._db:
                rows = [
                    (key, row.astype(np.float32).tobytes()) for key, row in zip(missing, vectors, strict=True)
                ]
                self._db.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", rows)
            self._known.update(zip(missing, vectors, strict=True))
        return np.array([self._known[key] for key in keys], np.float32).reshape(len(texts), self.dim)

    def _has(self, key: bytes) -> bool:
        if key not in self._known:
            row = self._db.execute("SELECT vector FROM vectors WHERE key = ?", (key,)).fetchone()
            if row is None:
                return False
            self._known[key] = np.frombuffer(row[0], np.float32)
        return True

    def _key(self, text: str, kind: str) -> bytes:
        return hashlib.blake2b(
            "\0".join((self._embedder.fingerprint, kind, text)).encode("utf-8", "replace"), digest_size=16
        ).digest()
