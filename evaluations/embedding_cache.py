"""Vectors of texts kept between evaluations: a second run embeds nothing and gets the same figures."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import platformdirs
from numpy.typing import NDArray

from sillar.documents.interfaces import TextEmbedder
from sillar.engine.native import NativeOptions, layout_version


def default_path() -> Path:
    """In the user's cache folder."""
    return platformdirs.user_cache_path("sillar") / "evaluations" / "vectors.db"


class CachedEmbedder:
    """A TextEmbedder that asks `embedder` only for texts that it never embedded before.

    Keyed by what computes them (`made_by`: the build and its kernels, unless given), the embedder's
    fingerprint, the kind and the text; vectors are kept as they came. What others computed is deleted.
    """

    def __init__(self, embedder: TextEmbedder, path: Path | None = None, made_by: str = "") -> None:
        self._embedder = embedder
        self._made_by = made_by or repr(layout_version(NativeOptions()))
        path = path or default_path()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, timeout=60)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB) WITHOUT ROWID"
        )
        self._known: dict[bytes, NDArray[Any]] = {}
        self._drop_others()

    def _drop_others(self) -> None:
        maker = int.from_bytes(hashlib.blake2b(self._made_by.encode(), digest_size=3).digest()) + 1
        if self._db.execute("PRAGMA user_version").fetchone()[0] != maker:
            with self._db:
                self._db.execute("DELETE FROM vectors")
            self._db.execute("VACUUM")
            self._db.execute(f"PRAGMA user_version = {maker}")

    @property
    def dim(self) -> int:
        return self._embedder.dim

    @property
    def fingerprint(self) -> str:
        return self._embedder.fingerprint

    async def embed(self, texts: Sequence[str], kind: Literal["query", "passage"]) -> NDArray[np.float32]:
        """[texts, dim], unit length."""

        async def embed(missing: Sequence[str]) -> list[NDArray[np.float32]]:
            return list(await self._embedder.embed(missing, kind))

        found = await self._rows(texts, kind, np.float32, embed)
        return np.array(found, np.float32).reshape(len(texts), self.dim)

    async def embed_tokens(
        self, texts: Sequence[str], kind: Literal["query", "passage"]
    ) -> tuple[NDArray[np.float32], list[NDArray[np.float32]]]:
        """As the embedder's, rounded to float16: tokens take much room."""

        async def embed(missing: Sequence[str]) -> list[NDArray[np.float32]]:
            vectors, tokens = await self._embedder.embed_tokens(missing, kind)
            return [np.concatenate([one[None], rows]) for one, rows in zip(vectors, tokens, strict=True)]

        found = await self._rows(texts, f"tokens of a {kind}", np.float16, embed)
        whole = [rows.reshape(-1, self.dim).astype(np.float32) for rows in found]
        vectors = np.array([rows[0] for rows in whole], np.float32).reshape(len(texts), self.dim)
        return vectors, [rows[1:] for rows in whole]

    async def _rows(
        self,
        texts: Sequence[str],
        kind: str,
        dtype: type[np.floating[Any]],
        embed: Callable[[Sequence[str]], Awaitable[list[NDArray[np.float32]]]],
    ) -> list[NDArray[Any]]:
        keys = [self._key(text, kind) for text in texts]
        missing = {key: text for key, text in zip(keys, texts, strict=True) if not self._has(key, dtype)}
        if missing:
            rows = [row.astype(dtype) for row in await embed(list(missing.values()))]
            with self._db:
                blobs = [(key, row.tobytes()) for key, row in zip(missing, rows, strict=True)]
                self._db.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", blobs)
            self._known.update(zip(missing, rows, strict=True))
        return [self._known[key] for key in keys]

    def _has(self, key: bytes, dtype: type[np.floating[Any]]) -> bool:
        if key not in self._known:
            row = self._db.execute("SELECT vector FROM vectors WHERE key = ?", (key,)).fetchone()
            if row is None:
                return False
            self._known[key] = np.frombuffer(row[0], dtype)
        return True

    def _key(self, text: str, kind: str) -> bytes:
        return hashlib.blake2b(
            "\0".join((self._made_by, self._embedder.fingerprint, kind, text)).encode("utf-8", "replace"),
            digest_size=16,
        ).digest()
