"""Quality and speed of whole answers: `python -m evaluations.answers FILE... --model M [--json]`.

Every question is asked over the whole set's passages; with --unanswerable once more with its own passage out.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from evaluations.embedding_cache import CachedEmbedder
from evaluations.hidden import hidden
from evaluations.models import load_embedder, load_model
from evaluations.progress import watched
from evaluations.sets import Query, QuestionSet, as_documents, cross_lingual, load_set
from evaluations.text_scores import contained, exact_match, f1
from sillar.documents.answer import Answer, AnswerOptions, Style, answer
from sillar.documents.index import Index
from sillar.documents.interfaces import TextEmbedder
from sillar.engine.language_model import LanguageModel


@dataclass(slots=True)
class _Tally:
    """Answers of one set."""

    answers: list[tuple[Query, Answer]] = field(default_factory=list)
    refused: int = 0
    unanswerable: int = 0

    def figures(self) -> dict[str, object]:
        given = [(query, one) for query, one in self.answers if not one.abstained]
        cited = [(query, citation) for query, one in given for citation in one.citations]
        right = sum(1 for query, citation in cited if citation.document in query.gold)
        found = sum(1 for query, one in given if any(c.document in query.gold for c in one.citations))
        total = max(1, len(self.answers))
        result: dict[str, object] = {
            "exact_match": _mean(exact_match(one.text, query.answers) for query, one in self.answers),
            "f1": _mean(f1(one.text, query.answers) for query, one in self.answers),
            "contained": _mean(contained(one.text, query.answers) for query, one in self.answers),
            "citation_precision": round(right / max(1, len(cited)), 4),
            "citation_recall": round(found / total, 4),
            "abstention_rate": round(1 - len(given) / total, 4),
            "generated_rate": _mean(float(one.generated) for _, one in self.answers),
        }
        if self.unanswerable:
            result["unanswerable_refused"] = round(self.refused / self.unanswerable, 4)
        for name in ("retrieve", "ttft", "total"):
            times = sorted(one.timings[name] for _, one in self.answers)
            for share in (50, 95):
                result[f"{name}_p{share}_s"] = round(times[int(share / 100 * (len(times) - 1))], 4)
        return result


def _mean(values: object) -> float:
    numbers = list(values)  # type: ignore[call-overload]
    return round(sum(numbers) / max(1, len(numbers)), 4)


async def evaluate(
    questions: QuestionSet,
    embedder: TextEmbedder,
    model: LanguageModel | None,
    options: AnswerOptions,
    *,
    unanswerable: bool,
    watch: Callable[[Query, Answer, bool], None] | None = None,
) -> dict[str, object]:
    """The figures of one set. `watch`: gets every answer, and whether its question could be answered."""
    tally = _Tally()
    with tempfile.TemporaryDirectory() as folder:
        async with Index.open(Path(folder) / "index.db", embedder) as index:
            await index.add_documents(questions.name, as_documents(questions.passages))
            await answer(questions.queries[0].text, index, model, options)
            for query in watched(questions.queries, questions.name):
                given = await answer(query.text, index, model, options)
                tally.answers.append((query, given))
                if watch is not None:
                    watch(query, given, True)
                if unanswerable:
                    async with hidden(index, questions, query.gold):
                        refusal = await answer(query.text, index, None, options)
                    tally.unanswerable += 1
                    tally.refused += refusal.abstained
                    if watch is not None:
                        watch(query, refusal, False)
    return {"name": questions.name, "queries": len(questions.queries), "passages": len(questions.passages),
            "style": options.style, **tally.figures()}  # fmt: skip


async def run(arguments: argparse.Namespace) -> None:
    loaded = load_embedder(arguments.embedder)
    embedder = CachedEmbedder(loaded) if arguments.cached else loaded
    style: Style = arguments.style
    options = AnswerOptions(style=style, abstain=not arguments.never_abstain)
    async with AsyncExitStack() as stack:
        model = None
        if style != "quote":
            model = await stack.enter_async_context(load_model(arguments.model))
        for file in arguments.files:
            questions = load_set(file)
            if arguments.passages_of is not None:
                questions = cross_lingual(questions, load_set(arguments.passages_of))
            questions = sample(questions, arguments.limit, arguments.seed)
            result = await evaluate(questions, embedder, model, options, unanswerable=arguments.unanswerable)
            result["model"] = arguments.model if model else ""
            lines = "\n  ".join(f"{name}: {value}" for name, value in result.items())
            print(json.dumps(result) if arguments.json else lines, flush=True)


def sample(questions: QuestionSet, limit: int, seed: int) -> QuestionSet:
    """`limit` questions drawn with `seed`, in their order; all when it is 0. The passages all stay."""
    if not limit or limit >= len(questions.queries):
        return questions
    chosen = sorted(random.Random(seed).sample(range(len(questions.queries)), limit))
    return QuestionSet(questions.name, questions.language, questions.passages,
                       tuple(questions.queries[i] for i in chosen))  # fmt: skip


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--model", default="", help="name or path of the language model (the default one)")
    parser.add_argument("--embedder", default="", help="name or path of the embedder (the default one)")
    parser.add_argument("--style", choices=("auto", "quote", "generate"), default="auto")
    parser.add_argument(
        "--passages-of", type=Path, help="cross-lingual: ask over this translation's passages"
    )
    parser.add_argument(
        "--unanswerable", action="store_true", help="ask again with the gold passage taken out"
    )
    parser.add_argument("--never-abstain", action="store_true")
    parser.add_argument(
        "--cached", action="store_true", help="keep vectors between runs (times then mean nothing)"
    )
    parser.add_argument("--limit", type=int, default=0, help="questions a set (0: all)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="one JSON object a line and file, nothing else")
    asyncio.run(run(parser.parse_args(argv)))


if __name__ == "__main__":
    main()
