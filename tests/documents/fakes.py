"""Stand-ins for the engine: an embedder of hashed words, numpy kernels, a scripted model."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evaluations.sets import as_documents
from sillar.documents.index import Index
from sillar.documents.language import stem, words
from sillar.documents.store.vectors import VectorKernels
from sillar.engine.request import Usage

DIM = 64


def numpy_kernels() -> VectorKernels:
    return VectorKernels(
        lambda query, rows: rows.astype(np.float32) @ query,
        lambda scores, k: np.argsort(-scores, kind="stable")[:k].astype(np.int64),
    )


class WordEmbedder:
    """Vectors of hashed stems: texts that share words are near each other."""

    dim = DIM
    name = "words"

    def __init__(self, fingerprint: str = "words:1") -> None:
        self.fingerprint = fingerprint
        self.embedded = 0

    async def embed(self, texts: Sequence[str], kind: Literal["query", "passage"]) -> NDArray[np.float32]:
        self.embedded += len(texts)
        rows = np.full((len(texts), DIM), 1e-3, np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in words(text):
                digest = hashlib.md5(stem(word, "en").encode()).digest()
                row[digest[0] % DIM] += 1.0 if digest[1] % 2 else -1.0
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    async def embed_tokens(
        self, texts: Sequence[str], kind: Literal["query", "passage"]
    ) -> tuple[NDArray[np.float32], list[NDArray[np.float32]]]:
        return await self.embed(texts, kind), [await self.embed(words(text), kind) for text in texts]


def open_index(path: Path, embedder: WordEmbedder | None = None, *, rebuild: bool = False) -> Index:
    return Index.open(path, embedder or WordEmbedder(), kernels=numpy_kernels(), rebuild=rebuild)


@asynccontextmanager
async def index_of(path: Path, passages: dict[str, str]) -> AsyncIterator[Index]:
    """A new index with a document of each name and text."""
    async with open_index(path) as index:
        await index.add_documents("s", as_documents(passages))
        yield index


@dataclass
class _Event:
    text: str
    usage: Usage | None = None


class ScriptedModel:
    """A language model that says one text, whatever it is asked."""

    context_length = 2048

    def __init__(self, text: str, weights: int = 0) -> None:
        self.text = text
        self.weights = weights
        self.asked: list[str] = []

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    def prompt_seconds(self) -> float:
        return 0.0

    async def score_answers(
        self, conversations: Sequence[Sequence[dict[str, str]]], answer: str, *, tenant: str = ""
    ) -> NDArray[np.float32]:
        return np.zeros((len(conversations), len(answer.split())), np.float32)

    async def chat(self, messages: Sequence[dict[str, str]], params: object) -> AsyncIterator[_Event]:
        self.asked.append(messages[-1]["content"])
        for word in self.text.split(" "):
            yield _Event(word + " ")
        yield _Event("", Usage(prompt_tokens=7, completion_tokens=5))
