"""How long a search takes: `python -m benchmarks.retrieval [--chunks 10000 500000]`, the last line is JSON.

Real questions, one after another, over indexes grown from Debian's and Python's manuals
(benchmarks/grown_index.py), which are kept in the user's cache folder. Everything a user waits for counts:
the question's embedding, words, vectors, fusing and folding; the reranker where asked for.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import platformdirs

from benchmarks import machine
from benchmarks.grown_index import grow, read_real
from evaluations import ask, faq
from evaluations.models import load_embedder, load_reranker
from sillar.documents.index import Index
from sillar.documents.interfaces import TextEmbedder
from sillar.documents.store.sqlite import PIPELINE_VERSION

BARS_MS = {10_000: 60.0, 500_000: 250.0}
_GROWN = "1"
"""Raised when benchmarks/grown_index.py makes other chunks."""


class Timed:
    """Passes calls on to `inner` and adds up their seconds under `name`."""

    def __init__(self, inner: object, name: str, seconds: dict[str, float]) -> None:
        self._inner, self._name, self._seconds = inner, name, seconds

    def __getattr__(self, attribute: str) -> Callable[..., Any]:
        call = getattr(self._inner, attribute)

        def timed(*arguments: Any) -> Any:
            began = time.perf_counter()
            try:
                return call(*arguments)
            finally:
                spent = time.perf_counter() - began
                self._seconds[self._name] = self._seconds.get(self._name, 0.0) + spent

        return timed


def questions(count: int, seed: int) -> list[str]:
    """Headings of FAQs and manuals, English and Spanish, and the twenty of evaluations.ask."""
    own = json.loads(ask.QUESTIONS.read_text(encoding="utf-8"))["questions"]
    found = [str(question["q"]) for question in own]
    found += [query.text for part in (faq.english(), faq.spanish()) for query in part.queries]
    random.Random(seed).shuffle(found)
    return found[:count]


async def real_index(embedder: TextEmbedder) -> Path:
    """The index of the manuals, made or brought up to date."""
    path = ask.default_index()
    ask.ensure_documents(ask.default_documents())
    async with Index.open(path, embedder, update=True) as index:
        await index.add_folder(ask.default_documents())
    return path


async def grown(embedder: TextEmbedder, chunks: int) -> Path:
    """The index with this many chunks, from the cache or made."""
    name = f"retrieval-{_GROWN}-{PIPELINE_VERSION}-{embedder.fingerprint[:8]}-{chunks}.db"
    path = platformdirs.user_cache_path("sillar") / "benchmarks" / name
    if not path.is_file():
        grow(read_real(await real_index(embedder)), path, embedder, chunks)
    return path


async def measure(path: Path, embedder: TextEmbedder, asked: Sequence[str], rerank: str) -> dict[str, Any]:
    """p50 and p95 of each part, in milliseconds, and the first search's seconds (it loads the vectors)."""
    seconds: dict[str, float] = {}
    rows: list[dict[str, float]] = []
    async with Index.open(path, embedder) as index:
        if rerank:
            index.reranker = load_reranker(rerank)
        store: Any = index.store
        store._words = Timed(store._words, "words", seconds)
        store._matrix = Timed(store._matrix, "vectors", seconds)
        began = time.perf_counter()
        await index.search(asked[0], 8)
        first = time.perf_counter() - began
        for question in asked[:8]:
            await index.search(question, 8)
        for question in asked:
            seconds.clear()
            began = time.perf_counter()
            vector = await index.embed_question(question)
            embedded = time.perf_counter()
            await index.search(question, 8, vector=vector)
            row = {"total": time.perf_counter() - began, "embed": embedded - began, **seconds}
            row["rest"] = row["total"] - sum(value for name, value in row.items() if name != "total")
            rows.append(row)
        chunks = (await index.counts()).chunks
    parts = {name: _milliseconds([row[name] for row in rows]) for name in rows[0]}
    return {"chunks": chunks, "first_s": first, **parts}


def _milliseconds(samples: Sequence[float]) -> dict[str, float]:
    ordered = sorted(samples)
    return {
        "p50_ms": 1000 * ordered[len(ordered) // 2],
        "p95_ms": 1000 * ordered[int(0.95 * (len(ordered) - 1))],
    }


async def run(arguments: argparse.Namespace) -> dict[str, Any]:
    embedder = load_embedder()
    asked = questions(arguments.questions, arguments.seed)
    results = []
    for chunks in arguments.chunks:
        path = await grown(embedder, chunks)
        if arguments.build:
            continue
        result = await measure(path, embedder, asked, arguments.reranker)
        if chunks in BARS_MS:
            result["bar_p95_ms"] = BARS_MS[chunks]
        results.append(result)
        machine.log(json.dumps(machine.rounded(result, 3)))
    return {"questions": len(asked), "reranker": arguments.reranker, "sizes": results}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--chunks", type=int, nargs="+", default=list(BARS_MS))
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reranker", default="", help="name of a reranker that was pulled (none)")
    parser.add_argument("--build", action="store_true", help="only make the indexes")
    machine.emit("retrieval", asyncio.run(run(parser.parse_args())))


if __name__ == "__main__":
    main()
