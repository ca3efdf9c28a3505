"""What the documents side needs of the engine: an embedder, and a reranker where there is one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray


class TextEmbedder(Protocol):
    """Turns texts into unit vectors. `fingerprint` changes whenever vectors would no longer be comparable."""

    @property
    def dim(self) -> int: ...

    @property
    def fingerprint(self) -> str: ...

    async def embed(self, texts: Sequence[str], kind: Literal["query", "passage"]) -> NDArray[np.float32]:
        """[texts, dim], unit length."""
        ...

    async def embed_tokens(
        self, texts: Sequence[str], kind: Literal["query", "passage"]
    ) -> tuple[NDArray[np.float32], list[NDArray[np.float32]]]:
        """The same, and of each text its tokens' vectors in their context, unit length, [tokens, dim]."""
        ...


class TextReranker(Protocol):
    """Says how well texts answer a question."""

    @property
    def token_seconds(self) -> float:
        """What a token has taken lately; 0 where that is not known yet."""
        ...

    async def score(self, query: str, documents: Sequence[str]) -> NDArray[np.float32]:
        """[documents], the higher the better. Raises RequestError for a query that is too long."""
        ...
