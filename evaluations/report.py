"""Runs the evaluations and writes docs/evaluation.md: `python -m evaluations.report [--sets EN ES]`.

Without --sets XQuAD is fetched. Figures are kept in docs/evaluation.json, section by section: `--only SECTION
...` measures some anew, and `--only` alone writes the page from what is kept.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from evaluations import answers, ask, calibrate, everyday, faq, followups, gaps, retrieval, xquad
from evaluations.corpora import CorpusError
from evaluations.curve import draw
from evaluations.embedding_cache import CachedEmbedder
from evaluations.models import load_embedder, load_model
from evaluations.page import render
from evaluations.sets import Query, QuestionSet, cross_lingual, load_set
from sillar.documents.answer import Answer, AnswerOptions
from sillar.documents.index import Index
from sillar.errors import SillarError

DOCS = Path(__file__).parent.parent / "docs"
Figures = dict[str, Any]


def pairings(files: list[Path]) -> list[QuestionSet]:
    """The sets themselves, then each over the other's passages."""
    sets = [load_set(file) for file in files]
    crossed = [cross_lingual(one, other) for one in reversed(sets) for other in sets if one is not other]
    return [*sets, *crossed]


async def retrieval_figures(arguments: argparse.Namespace) -> Figures:
    embedder = CachedEmbedder(load_embedder())
    return {"sets": [await retrieval.evaluate(one, embedder) for one in pairings(arguments.sets)]}


async def faq_figures(_: argparse.Namespace) -> Figures:
    embedder = CachedEmbedder(load_embedder())
    english = faq.english()
    rows = [await retrieval.evaluate(one, embedder) for one in (english, faq.spanish())]
    again = replace(english, name=f"{english.name}, second look")
    async with load_model() as model:
        rows.append(await retrieval.evaluate(again, embedder, model=model))
    return {"sets": rows}


async def quote_figures(arguments: argparse.Namespace) -> Figures:
    embedder = CachedEmbedder(load_embedder())
    options = AnswerOptions(style="quote")
    rows, collected = [], []
    for one in pairings(arguments.sets):
        features: list[calibrate.Row] = []
        row = await answers.evaluate(
            one, embedder, None, options, unanswerable=True, watch=partial(_add_row, features)
        )
        rows.append({key: value for key, value in row.items() if not key.endswith("_s")})
        collected.append(features)
    _COLLECTED[tuple(arguments.sets)] = collected
    return {"sets": rows}


_COLLECTED: dict[tuple[Path, ...], list[list[calibrate.Row]]] = {}


def _add_row(rows: list[calibrate.Row], query: Query, given: Answer, there: bool) -> None:
    rows.append((given.features, there, calibrate.article(query)))


async def _collect(files: list[Path]) -> list[list[calibrate.Row]]:
    """Features of every pairing, computed once a run, by the answers themselves where these were measured:
    the calibration and what ships are read off them.
    """
    key = tuple(files)
    if key not in _COLLECTED:
        embedder = CachedEmbedder(load_embedder())
        _COLLECTED[key] = [await calibrate.collect(one, embedder) for one in pairings(files)]
    return _COLLECTED[key]


async def shipped_figures(arguments: argparse.Namespace) -> Figures:
    """What the calibration that ships refuses, from the same features as it was fitted on."""
    rows = []
    for one, collected in zip(pairings(arguments.sets), await _collect(arguments.sets), strict=True):
        refused = {there: [calibrate.refuses(features) for features, here, _ in collected if here is there]
                   for there in (True, False)}  # fmt: skip
        shares = {there: round(sum(each) / len(each), 4) for there, each in refused.items()}
        rows.append(
            {"name": one.name, "abstention_rate": shares[True], "unanswerable_refused": shares[False]}
        )
    return {"sets": rows}


async def calibration_figures(arguments: argparse.Namespace) -> Figures:
    fits = calibrate.fits_of(await _collect(arguments.sets))
    curve = {fit.name.replace("_", " ").lower(): fit.points for fit in fits}
    (arguments.docs / "risk-coverage.svg").write_text(draw(curve), encoding="utf-8")
    return {"fits": [{"name": fit.name, "rows": fit.rows, "auc": fit.auc, "threshold": fit.threshold,
                      "refused": {str(rate): share for rate, share in fit.refused.items()}}
                     for fit in fits]}  # fmt: skip


async def question_figures(arguments: argparse.Namespace) -> Figures:
    """The twenty questions with the default models, and the follow-ups with and without their past."""
    options = argparse.Namespace(style=arguments.style, model="", index=ask.default_index(),
                                 documents=ask.default_documents())  # fmt: skip
    ask.ensure_documents(options.documents)
    rows = await ask.run(options)
    async with Index.open(options.index, CachedEmbedder(load_embedder())) as index:
        whole = followups.figures(await followups.evaluate(index, plain=False))
        plain = followups.figures(await followups.evaluate(index, plain=True))
    wrong = [row["question"] for row in rows if not row["right"]]
    return {"right": len(rows) - len(wrong), "questions": len(rows), "wrong": wrong,
            "followups": whole, "followups_plain": plain}  # fmt: skip


async def generated_figures(arguments: argparse.Namespace) -> Figures:
    """Answers with language models, on a sample; times include everything and nothing is kept."""
    embedder = load_embedder()
    rows = []
    for name in arguments.models:
        async with load_model(name) as model:
            for file in arguments.sets:
                questions = answers.sample(load_set(file), arguments.limit, arguments.seed)
                row = await answers.evaluate(
                    questions, embedder, model, AnswerOptions(style=arguments.style), unanswerable=False
                )
                rows.append({**row, "model": name or "default"})
    return {"sets": rows, "seed": arguments.seed}


async def gap_figures(_: argparse.Namespace) -> Figures:
    """How well unanswered questions are grouped."""
    return {"sets": await gaps.run(load_embedder())}


async def everyday_figures(_: argparse.Namespace) -> Figures:
    """Everyday questions, and those about another event."""
    return {"sets": await everyday.run(load_embedder())}


async def speed_figures(arguments: argparse.Namespace) -> Figures:
    """Indexing and search with every text embedded anew."""
    embedder = load_embedder()
    rows = [await retrieval.evaluate(load_set(file), embedder) for file in arguments.sets]
    return {"sets": rows}


SECTIONS: dict[str, tuple[Callable[[argparse.Namespace], Coroutine[Any, Any, Figures]], bool]] = {
    "retrieval": (retrieval_figures, True),
    "faq": (faq_figures, False),
    "quote": (quote_figures, True),
    "calibration": (calibration_figures, True),
    "shipped": (shipped_figures, True),
    "questions": (question_figures, False),
    "everyday": (everyday_figures, False),
    "gaps": (gap_figures, False),
    "generated": (generated_figures, True),
    "speed": (speed_figures, True),
}
"""What measures each section, and whether it needs --sets."""


def measure(arguments: argparse.Namespace) -> None:
    """Measures the wanted sections; each is kept as soon as it is done."""
    path = arguments.docs / "evaluation.json"
    kept = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    wanted = list(SECTIONS) if arguments.only is None else arguments.only
    if any(SECTIONS[name][1] for name in wanted) and not arguments.sets:
        arguments.sets = _fetched_sets()
    for place, name in enumerate(wanted, 1):
        section, needs_sets = SECTIONS[name]
        if needs_sets and len(arguments.sets) != 2:
            print(f"{name}: left out, it needs --sets EN.json ES.json", file=sys.stderr)
            continue
        print(f"[{place} of {len(wanted)}] {name}", file=sys.stderr, flush=True)
        started = time.monotonic()
        try:
            figures = asyncio.run(section(arguments))
        except (CorpusError, SillarError) as error:
            print(f"{name}: left out, {error}", file=sys.stderr)
            continue
        seconds = round(time.monotonic() - started)
        print(f"{name}: {seconds} s", file=sys.stderr, flush=True)
        kept[name] = _with_other_models(figures, kept.get(name, {}))
        today = datetime.now(UTC).date().isoformat()
        kept["measured"] = {**kept.get("measured", {}), name: {"date": today, "seconds": seconds}}
        _keep(kept, path)
    (arguments.docs / "evaluation.md").write_text(render(kept), encoding="utf-8")


def _fetched_sets() -> list[Path]:
    try:
        return xquad.fetch()
    except CorpusError as error:
        print(f"XQuAD cannot be fetched: {error}", file=sys.stderr)
        return []


def _with_other_models(figures: Figures, before: Figures) -> Figures:
    """Rows of language models that were not asked this time stay."""
    asked = {row["model"] for row in figures.get("sets", ()) if "model" in row}
    others = [row for row in before.get("sets", ()) if row.get("model", "") not in asked] if asked else []
    return {**figures, "sets": [*figures["sets"], *others]} if others else figures


def _keep(kept: Figures, path: Path) -> None:
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
        json.dump(kept, file, indent=1, sort_keys=True, ensure_ascii=False)
        file.write("\n")
    Path(file.name).chmod(0o644)
    Path(file.name).replace(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=Path, nargs="*", default=[], help="XQuAD in English, in Spanish")
    parser.add_argument("--only", nargs="*", choices=tuple(SECTIONS), help="these sections")
    parser.add_argument("--docs", type=Path, default=DOCS)
    parser.add_argument("--models", nargs="*", default=[""], help="language models of the section generated")
    parser.add_argument("--style", choices=("auto", "quote", "generate"), default="auto")
    parser.add_argument("--limit", type=int, default=60, help="questions a set with a language model")
    parser.add_argument("--seed", type=int, default=0)
    measure(parser.parse_args())


if __name__ == "__main__":
    main()
