"""Fits the calibration of support: `python -m evaluations.calibrate EN.json ES.json [--write] [--curve F]`.

Each question is asked twice, with and without its own passage. Figures are cross-validated: articles are
dealt into 8 folds, each is scored with weights that were fitted on the others. What ships is fitted on all.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evaluations.curve import draw
from evaluations.embedding_cache import CachedEmbedder
from evaluations.hidden import hidden
from evaluations.models import load_embedder
from evaluations.progress import watched
from evaluations.sets import Query, QuestionSet, as_documents, cross_lingual, load_set
from sillar.documents import calibration as shipped
from sillar.documents.answer import SEARCHED
from sillar.documents.index import Index
from sillar.documents.interfaces import TextEmbedder
from sillar.documents.support import find_support

FOLDS = 8
RATES = (0.03, 0.05, 0.08, 0.10)
"""Shares of answerable questions refused at which the unanswerable ones are counted."""
SHIPPED_RATE = {"SAME_LANGUAGE": 0.05, "OTHER_LANGUAGE": 0.085}
"""Share of answerable questions refused at the thresholds that ship."""
_PENALTY = 0.01
Row = tuple[Mapping[str, float], bool, str]
"""Features of a question, whether its passage was there, and its article."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted regression, its figures on unseen articles, and their risk-coverage points."""

    name: str
    weights: dict[str, float]
    bias: float
    threshold: float
    rows: int
    auc: float
    refused: dict[float, float]
    points: list[tuple[float, float]]
    """(answerable refused, unanswerable refused), rising."""


async def collect(questions: QuestionSet, embedder: TextEmbedder) -> list[Row]:
    """The features that the product computes, with each question's own passage and without."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        async with Index.open(Path(folder) / "index.db", embedder) as index:
            await index.add_documents(questions.name, as_documents(questions.passages))
            for query in watched(questions.queries, questions.name):
                rows.append((await _features(index, query.text), True, article(query)))
                async with hidden(index, questions, query.gold):
                    rows.append((await _features(index, query.text), False, article(query)))
    return rows


def article(query: Query) -> str:
    """Which of XQuAD's articles a question is about."""
    return query.gold[0].split("-")[0]


async def _features(index: Index, question: str) -> Mapping[str, float]:
    vector = await index.embed_question(question)
    passages = await index.search(question, SEARCHED, vector=vector)
    support = await find_support(
        question, passages, index.embedder, index.frequencies, vector, word_vectors=index.word_vectors
    )
    return support.features


def refuses(features: Mapping[str, float]) -> bool:
    """Whether the calibration that ships refuses to answer; `features` name their pairing."""
    pairing = shipped.OTHER_LANGUAGE if "aligned" in features else shipped.SAME_LANGUAGE
    return not features or pairing.logit(features) < pairing.threshold


def fit_rows(name: str, rows: Sequence[Row], rate: float) -> Fit:
    """Fits one pairing; rows with other features (a language not recognised) are left out."""
    names = list(max((features for features, *_ in rows), key=len))
    if name == "SAME_LANGUAGE":
        names = list(min((features for features, *_ in rows if features), key=len))
    kept = [row for row in rows if row[0].keys() == set(names)]
    x = np.array([[features[one] for one in names] for features, *_ in kept])
    y = np.array([float(there) for _, there, _ in kept])
    articles = np.array([article for *_, article in kept])
    held_out = np.zeros(len(y))
    unique = sorted(set(articles))
    for fold in range(FOLDS):
        test = np.isin(articles, unique[fold::FOLDS])
        weights, bias = logistic(x[~test], y[~test])
        held_out[test] = x[test] @ weights + bias
    weights, bias = logistic(x, y)
    yes, no = held_out[y == 1], held_out[y == 0]
    return Fit(
        name,
        {one: round(float(weight), 3) for one, weight in zip(names, weights, strict=True)},
        round(float(bias), 3),
        round(float(np.quantile(yes, rate)), 2),
        len(kept),
        round(float((yes[:, None] > no[None]).mean()), 4),
        {at: round(float((no < np.quantile(yes, at)).mean()), 3) for at in RATES},
        [(at, float((no < np.quantile(yes, at)).mean())) for at in np.linspace(0, 0.3, 61).tolist()],
    )


def logistic(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Weights [features] and bias of a slightly ridged logistic regression, by Newton's method."""
    mean, deviation = x.mean(axis=0), x.std(axis=0) + 1e-9
    z = np.c_[(x - mean) / deviation, np.ones(len(x))]
    ridge = _PENALTY * np.eye(z.shape[1])
    ridge[-1, -1] = 1e-9
    weights = np.zeros(z.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-z @ weights))
        hessian = (z * (p * (1 - p))[:, None]).T @ z + len(x) / 100 * ridge
        step = np.linalg.solve(hessian, z.T @ (p - y) + len(x) / 100 * ridge @ weights)
        weights -= step
        if float(np.abs(step).max()) < 1e-8:
            break
    scaled = weights[:-1] / deviation
    return scaled, float(weights[-1] - scaled @ mean)


async def calibrate(english: Path, spanish: Path, embedder: TextEmbedder) -> list[Fit]:
    """The fits of both pairings: each language over itself, each over the other."""
    en, es = load_set(english), load_set(spanish)
    pairings = (en, es, cross_lingual(es, en), cross_lingual(en, es))
    return fits_of([await collect(questions, embedder) for questions in pairings])


def fits_of(rows: Sequence[Sequence[Row]]) -> list[Fit]:
    """`rows`: of each language over itself, then of each over the other."""
    pairs = (("SAME_LANGUAGE", [*rows[0], *rows[1]]), ("OTHER_LANGUAGE", [*rows[2], *rows[3]]))
    return [fit_rows(name, both, SHIPPED_RATE[name]) for name, both in pairs]


def source_of(fit: Fit) -> str:
    """The fit as it stands in sillar/documents/calibration.py."""
    weights = "".join(f'        "{name}": {weight},\n' for name, weight in fit.weights.items())
    return f"{fit.name} = Calibration(\n    {{\n{weights}    }},\n    {fit.bias},\n    {fit.threshold},\n)\n"


def write(fits: Sequence[Fit], path: Path) -> None:
    """Replaces the tables in calibration.py."""
    text = path.read_text(encoding="utf-8")
    for fit in fits:
        text = re.sub(rf"^{fit.name} = Calibration\(\n.*?^\)\n", source_of(fit), text, flags=re.S | re.M)
    path.write_text(text, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("english", type=Path)
    parser.add_argument("spanish", type=Path, help="its translation, with the same ids")
    parser.add_argument("--write", action="store_true", help="write the tables into the product's source")
    parser.add_argument("--curve", type=Path, help="draw the risk-coverage curve as SVG")
    arguments = parser.parse_args()
    embedder = CachedEmbedder(load_embedder())
    fits = asyncio.run(calibrate(arguments.english, arguments.spanish, embedder))
    for fit in fits:
        print(source_of(fit))
        print(json.dumps({"name": fit.name, "rows": fit.rows, "auc": fit.auc, "refused": fit.refused}))
    if arguments.write:
        write(fits, Path(shipped.__file__))
    if arguments.curve:
        arguments.curve.write_text(draw({fit.name: fit.points for fit in fits}), encoding="utf-8")


if __name__ == "__main__":
    main()
