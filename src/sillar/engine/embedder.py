"""Texts to vectors: prefixes, truncation, batches of similar length, one encoder call at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from sillar.engine.native import NativeOptions, Progress

Kind = Literal["query", "passage"]
T = TypeVar("T")

BATCH_TOKENS = 2048  # a batch: long enough to be fast, short enough that a query waits little behind it


class Encoder(Protocol):
    """What the embedder needs of a model. One caller at a time; `encode` does not hold the GIL."""

    @property
    def dim(self) -> int: ...

    @property
    def max_tokens(self) -> int: ...

    def encode(self, texts: Sequence[NDArray[np.int32]]) -> NDArray[np.float32]:
        """Vectors of unit length, [n, dim]."""
        ...

    def encode_tokens(
        self, texts: Sequence[NDArray[np.int32]]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The same, and every token's vector of unit length, [tokens of all texts, dim]."""
        ...


@dataclass(frozen=True, slots=True)
class EmbedderSpec:
    """What names an embedder and how it wants its texts."""

    name: str
    fingerprint: str
    """Same fingerprint, same vectors: an index keeps it."""
    prefixes: Mapping[str, str]


class Embedder:
    """A loaded embedding model."""

    def __init__(self, encoder: Encoder, tokenize: Callable[[str], list[int]], spec: EmbedderSpec) -> None:
        """`tokenize` gives a text's tokens with the model's begin and end tokens."""
        self._encoder = encoder
        self._tokenize = tokenize
        self._spec = spec
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sillar-embedder")

    @classmethod
    def load(
        cls,
        path: Path,
        native: NativeOptions | None = None,
        *,
        name: str | None = None,
        progress: Progress | None = None,
    ) -> Embedder:
        """Reads a GGUF; see sillar.engine.loading. Takes seconds: call it outside the event loop."""
        from sillar.engine.loading import load_embedder  # noqa: PLC0415  needs the extension

        return load_embedder(path, native, name=name, progress=progress)

    @property
    def name(self) -> str:
        return self._spec.name

    @property
    def dim(self) -> int:
        return self._encoder.dim

    @property
    def fingerprint(self) -> str:
        return self._spec.fingerprint

    @property
    def max_tokens(self) -> int:
        """Tokens of one text; what is longer is cut."""
        return self._encoder.max_tokens

    async def embed(self, texts: Sequence[str], kind: Kind) -> NDArray[np.float32]:
        """Vectors of unit length, float32 [n, dim], in the order of the texts."""
        return (await self.embed_counted(texts, kind))[0]

    async def embed_counted(self, texts: Sequence[str], kind: Kind) -> tuple[NDArray[np.float32], int]:
        """The same, and how many tokens were read."""
        vectors = np.empty((len(texts), self.dim), np.float32)
        if not texts:
            return vectors, 0
        loop = asyncio.get_running_loop()
        groups = self._groups([self._spec.prefixes.get(kind, "") + text for text in texts])
        total = 0
        group = await asyncio.to_thread(next, groups, None)
        while group is not None:
            places, tokens = group
            # One thread, first come first served: a large job lets others in between its batches.
            encoding = loop.run_in_executor(self._thread, self._encoder.encode, tokens)
            vectors[places], group = await asyncio.gather(encoding, asyncio.to_thread(next, groups, None))
            total += sum(map(len, tokens))
        return vectors, total

    async def embed_tokens(
        self, texts: Sequence[str], kind: Kind
    ) -> tuple[NDArray[np.float32], list[NDArray[np.float32]]]:
        """What `embed` gives, and of each text its tokens' vectors, unit length, [tokens, dim].

        The model's begin and end tokens and the prefix of `kind` are left out there.
        """
        vectors = np.empty((len(texts), self.dim), np.float32)
        rows: list[NDArray[np.float32]] = [np.zeros((0, self.dim), np.float32)] * len(texts)
        prefix = self._spec.prefixes.get(kind, "")
        first = len(self._tokenize(prefix.strip())) - 1
        loop = asyncio.get_running_loop()
        groups = self._groups([prefix + text for text in texts]) if texts else iter(())
        for places, tokens in await asyncio.to_thread(list, groups):
            vectors[places], found = await loop.run_in_executor(
                self._thread, self._encoder.encode_tokens, tokens
            )
            ends = np.cumsum([len(one) for one in tokens])
            for place, one, end in zip(places, tokens, ends, strict=True):
                rows[place] = found[end - len(one) + first : end - 1]
        return vectors, rows

    def close(self) -> None:
        """After the current batch."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _groups(self, texts: Sequence[str]) -> Iterator[tuple[list[int], list[NDArray[np.int32]]]]:
        """Places of texts of similar length, longest first, and their tokens: a batch at a time, so that one
        is tokenised while the one before is encoded.
        """
        order = sorted(range(len(texts)), key=lambda i: -len(texts[i]))
        found = ((place, self._tokens(texts[place])) for place in order)
        for group in _grouped(found, lambda item: len(item[1]), BATCH_TOKENS):
            yield [place for place, _ in group], [tokens for _, tokens in group]

    def _tokens(self, text: str) -> NDArray[np.int32]:
        tokens = self._tokenize(text)
        if len(tokens) > self.max_tokens:
            tokens = [*tokens[: self.max_tokens - 1], tokens[-1]]
        return np.array(tokens, np.int32)


def batches(lengths: Sequence[int], most_tokens: int) -> list[list[int]]:
    """Indices grouped by similar length, longest first, at most so many tokens a group (or one text)."""
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    return list(_grouped(order, lengths.__getitem__, most_tokens))


def _grouped(items: Iterable[T], length: Callable[[T], int], most: int) -> Iterator[list[T]]:
    """The items in their order, as many at a time as fit: `most` in length together, or one."""
    group: list[T] = []
    room = most
    for item in items:
        if group and length(item) > room:
            yield group
            group, room = [], most
        group.append(item)
        room -= length(item)
    if group:
        yield group
