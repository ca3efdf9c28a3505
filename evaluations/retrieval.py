"""Recall, MRR and nDCG of the search over question sets: `python -m evaluations.retrieval FILE...
[--json]`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import tempfile
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from evaluations.embedding_cache import CachedEmbedder
from evaluations.models import load_embedder, load_model, load_reranker
from evaluations.sets import QuestionSet, as_documents, cross_lingual, load_set
from sillar.documents.answer import second_look
from sillar.documents.index import Index
from sillar.documents.interfaces import TextEmbedder, TextReranker
from sillar.documents.likelihood import CLOSE
from sillar.engine.language_model import LanguageModel

DEPTH = 10
_PATIENT = replace(CLOSE, seconds=math.inf)  # the same figures on a slow machine


async def evaluate(
    questions: QuestionSet,
    embedder: TextEmbedder,
    reranker: TextReranker | None = None,
    model: LanguageModel | None = None,
) -> dict[str, object]:
    """The figures of one set, through the same index and search that a user gets; with a `model` in the
    order in which passages are read for an answer.
    """
    with tempfile.TemporaryDirectory() as folder:
        async with Index.open(Path(folder) / "index.db", embedder) as index:
            index.reranker = reranker
            started = time.perf_counter()
            await index.add_documents(questions.name, as_documents(questions.passages))
            seconds = time.perf_counter() - started
            latencies, ranks = [], []
            for query in questions.queries:
                began = time.perf_counter()
                passages = await index.search(query.text, DEPTH)
                passages = await second_look(query.text, passages, index, model, options=_PATIENT)
                latencies.append(time.perf_counter() - began)
                found = list(dict.fromkeys(passage.document for passage in passages))
                ranks.append([i for i, name in enumerate(found) if name in query.gold])
    latencies.sort()
    return {
        "name": questions.name,
        "queries": len(questions.queries),
        "passages": len(questions.passages),
        **figures(ranks, [len(query.gold) for query in questions.queries]),
        **({} if isinstance(embedder, CachedEmbedder) else _speed(questions, seconds, latencies)),
    }


def _speed(questions: QuestionSet, seconds: float, latencies: Sequence[float]) -> dict[str, float]:
    return {
        "passages_per_second": round(len(questions.passages) / seconds, 1),
        "search_p50_ms": round(1000 * latencies[len(latencies) // 2], 1),
        "search_p95_ms": round(1000 * latencies[int(0.95 * (len(latencies) - 1))], 1),
    }


def figures(ranks: Sequence[Sequence[int]], gold: Sequence[int]) -> dict[str, float]:
    """recall@k (any gold passage among the first k), MRR and nDCG@10; `ranks`: places of gold passages,
    from 0.
    """
    total = max(1, len(ranks))
    result = {f"recall@{k}": sum(any(r < k for r in places) for places in ranks) / total for k in (1, 5, 10)}
    result["mrr"] = sum(1.0 / (min(places) + 1) for places in ranks if places) / total
    gains = 0.0
    for places, count in zip(ranks, gold, strict=True):
        ideal = sum(1.0 / math.log2(i + 2) for i in range(min(count, DEPTH)))
        gains += sum(1.0 / math.log2(r + 2) for r in places if r < DEPTH) / (ideal or 1.0)
    result["ndcg@10"] = gains / total
    return {name: round(value, 4) for name, value in result.items()}


async def run(
    files: Sequence[Path],
    passages: Path | None,
    embedder: str,
    reranker: str = "",
    *,
    cached: bool = False,
    model: str | None = None,
) -> list[dict[str, object]]:
    """One object of figures for each file. `model`: the language model's name, "" the default one."""
    loaded = load_embedder(embedder)
    vectors = CachedEmbedder(loaded) if cached else loaded
    again = load_reranker(reranker) if reranker else None
    results = []
    async with nullcontext() if model is None else load_model(model) as reader:
        for file in files:
            questions = load_set(file)
            if passages is not None:
                questions = cross_lingual(questions, load_set(passages))
            results.append(await evaluate(questions, vectors, again, reader))
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument(
        "--passages-of", type=Path, help="cross-lingual: ask over the passages of this translation"
    )
    parser.add_argument("--embedder", default="", help="name or path of the embedder (the default one)")
    parser.add_argument("--reranker", default="", help="name or path of a reranker (none)")
    parser.add_argument(
        "--second-look", metavar="MODEL", nargs="?", const="",
        help="in the order in which an answer reads them, with this language model (the default one)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="one JSON object a line and file, nothing else")
    parser.add_argument("--cached", action="store_true", help="keep vectors between runs (no speeds then)")
    arguments = parser.parse_args()
    names = (arguments.embedder, arguments.reranker)
    job = run(
        arguments.files, arguments.passages_of, *names, cached=arguments.cached, model=arguments.second_look
    )
    for result in asyncio.run(job):
        if arguments.json:
            print(json.dumps(result))
        else:
            print("  ".join(f"{name} {value}" for name, value in result.items()))


if __name__ == "__main__":
    main()
