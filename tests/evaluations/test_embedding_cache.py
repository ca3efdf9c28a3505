"""Vectors kept between evaluations: asked for once, and again when something else computes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evaluations.embedding_cache import CachedEmbedder
from tests.documents.fakes import WordEmbedder


class Counting(WordEmbedder):
    asked = 0

    async def embed(self, texts: Sequence[str], kind: Literal["query", "passage"]) -> NDArray[np.float32]:
        self.asked += len(texts)
        return await super().embed(texts, kind)


async def test_a_text_is_embedded_once_by_each_build(tmp_path: Path) -> None:
    embedder, path = Counting(), tmp_path / "vectors.db"
    first = await CachedEmbedder(embedder, path, "build 1").embed(["one", "two"], "query")
    again = await CachedEmbedder(embedder, path, "build 1").embed(["two", "one"], "query")
    assert embedder.asked == 2
    np.testing.assert_array_equal(first, again[::-1])
    await CachedEmbedder(embedder, path, "build 2").embed(["one"], "query")
    assert embedder.asked == 3
    await CachedEmbedder(embedder, path, "build 1").embed(["one"], "query")
    assert embedder.asked == 4, "what another build computed is not kept beside it"
