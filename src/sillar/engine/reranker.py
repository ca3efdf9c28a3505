"""How well documents answer a query, by a cross-encoder: pairs, truncation, batches of similar length."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from sillar.engine.embedder import batches
from sillar.errors import RequestError

if TYPE_CHECKING:
    from sillar.engine.native import NativeOptions, Progress

_MEMORY = 0.2
"""Weight of the last batch in the measured speed."""
_BATCH_TOKENS = 1024  # one pass of the encoder: others get in between


class PairEncoder(Protocol):
    """What the reranker needs of a model. One caller at a time; `score` does not hold the GIL."""

    @property
    def max_tokens(self) -> int: ...

    def score(self, pairs: Sequence[NDArray[np.int32]], first: NDArray[np.int32]) -> NDArray[np.float32]:
        """[n] float32; the first `first[i]` tokens of pair i are its first text's."""
        ...


class Reranker:
    """A loaded cross-encoder: Nogueira and Cho, "Passage Re-ranking with BERT", 2019."""

    def __init__(self, name: str, encoder: PairEncoder, tokenize: Callable[[str, bool], list[int]]) -> None:
        """`tokenize(text, begins)` gives a text's tokens with its end token and, where the text `begins` a
        pair, the begin token.
        """
        self.name = name
        self._encoder = encoder
        self._tokenize = tokenize
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sillar-reranker")
        self._token_seconds = 0.0

    @classmethod
    def load(
        cls,
        path: Path,
        native: NativeOptions | None = None,
        *,
        name: str | None = None,
        progress: Progress | None = None,
    ) -> Reranker:
        """Reads a GGUF; see sillar.engine.loading. Takes seconds: call it outside the event loop."""
        from sillar.engine.loading import load_reranker  # noqa: PLC0415  needs the extension

        return load_reranker(path, native, name=name, progress=progress)

    @property
    def max_tokens(self) -> int:
        """Tokens of one pair; a longer document is cut."""
        return self._encoder.max_tokens

    @property
    def max_query_tokens(self) -> int:
        """A longer query is refused: cut, it would ask something else."""
        return self.max_tokens // 2

    @property
    def token_seconds(self) -> float:
        """What a token has taken lately, in seconds; 0 before the first."""
        return self._token_seconds

    async def score(self, query: str, documents: Sequence[str]) -> NDArray[np.float32]:
        """How well each document answers the query: the model's raw value (a logit), float32 [n].

        Only their order and differences mean something. A document is cut where the pair would not fit the
        model. Raises RequestError for a query of more than `max_query_tokens`.
        """
        return (await self.score_counted(query, documents))[0]

    async def score_counted(self, query: str, documents: Sequence[str]) -> tuple[NDArray[np.float32], int]:
        """The same, and how many tokens were read."""
        scores = np.empty(len(documents), np.float32)
        pairs, first = await asyncio.to_thread(self._pairs, query, documents)
        loop = asyncio.get_running_loop()
        for batch in batches([len(pair) for pair in pairs], _BATCH_TOKENS):
            chosen = [pairs[i] for i in batch]
            parts = np.full(len(batch), first, np.int32)
            # One thread, first come first served: a large job lets others in between its batches.
            scores[batch] = await loop.run_in_executor(self._thread, self._timed, chosen, parts)
        return scores, sum(map(len, pairs))

    def _timed(self, pairs: Sequence[NDArray[np.int32]], first: NDArray[np.int32]) -> NDArray[np.float32]:
        began = time.perf_counter()
        scores = self._encoder.score(pairs, first)
        seconds = (time.perf_counter() - began) / sum(map(len, pairs))
        self._token_seconds += (seconds - self._token_seconds) * (_MEMORY if self._token_seconds else 1.0)
        return scores

    def close(self) -> None:
        """After the current batch."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _pairs(self, query: str, documents: Sequence[str]) -> tuple[list[NDArray[np.int32]], int]:
        """The tokens of each pair, and how many of them are the query's."""
        asked = self._tokenize(query, True)
        if len(asked) > self.max_query_tokens:
            raise RequestError(
                f"The query has {len(asked)} tokens; {self.name} takes up to {self.max_query_tokens}."
            )
        room = self.max_tokens - len(asked)
        return [
            np.array(asked + _cut(self._tokenize(text, False), room), np.int32) for text in documents
        ], len(asked)


def _cut(tokens: list[int], room: int) -> list[int]:
    """At most `room` tokens; the end token stays."""
    return tokens if len(tokens) <= room else [*tokens[: room - 1], tokens[-1]]
