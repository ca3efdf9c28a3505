"""What the documents side needs of the engine: an embedder and, for generated answers, a language model."""

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
