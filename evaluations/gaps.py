"""Unanswered questions in groups that ask the same: `python -m evaluations.gaps [--json]`.

Questions of a help desk, English and Spanish, with neighbours that share words and subject. Pairwise F1: of
the pairs that stand in one group, and of those that should.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

from evaluations.models import load_embedder
from sillar.documents.gaps import Unanswered, group, usual_directions
from sillar.documents.interfaces import TextEmbedder
from sillar.documents.language import detect_language

QUESTIONS = Path(__file__).with_name("gaps.json")
BAR = 0.65
_FEW = 4
"""Groups of a small journal: where little was asked, little is known of what is usual."""


async def evaluate(groups: Sequence[Sequence[str]], embedder: TextEmbedder) -> dict[str, float]:
    """precision, recall and F1 over pairs, and F1 in small journals (the mean of 40 drawn)."""
    asked = [(question, i) for i, each in enumerate(groups) for question in each]
    random.Random(0).shuffle(asked)
    vectors = await embedder.embed([question for question, _ in asked], "query")
    usual = await usual_directions(embedder)
    questions = [
        Unanswered(question, detect_language(question, "en"), vector, ())
        for (question, _), vector in zip(asked, vectors, strict=True)
    ]
    gold = [place for _, place in asked]
    precision, recall, whole = pairwise(group(questions, usual), gold)
    draw, small = random.Random(1), []
    for _ in range(40):
        few = set(draw.sample(range(len(groups)), _FEW))
        kept = [i for i, place in enumerate(gold) if place in few]
        found = group([questions[i] for i in kept], usual)
        small.append(pairwise(found, [gold[i] for i in kept])[2])
    return {
        "questions": len(asked),
        "groups": len(groups),
        "precision": round(precision, 4),
        "recall": round(recall, 4),
        "f1": round(whole, 4),
        "f1_small": round(sum(small) / len(small), 4),
    }


def pairwise(found: Sequence[Sequence[int]], gold: Sequence[int]) -> tuple[float, float, float]:
    """Precision, recall and F1 of the pairs of places that `found` puts into one group."""
    together = {pair for members in found for pair in combinations(sorted(members), 2)}
    wanted = {(i, j) for i, j in combinations(range(len(gold)), 2) if gold[i] == gold[j]}
    right = len(together & wanted)
    if not together or not wanted:
        same = float(together == wanted)
        return same, same, same
    return right / len(together), right / len(wanted), 2 * right / (len(together) + len(wanted))


async def run(embedder: TextEmbedder) -> list[dict[str, object]]:
    """The figures of both halves: thresholds were chosen on dev."""
    sets = json.loads(QUESTIONS.read_text(encoding="utf-8"))
    return [{"name": name, **await evaluate(sets[name], embedder)} for name in ("dev", "test")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object a line, nothing else")
    arguments = parser.parse_args()
    rows = asyncio.run(run(load_embedder()))
    for row in rows:
        print(json.dumps(row) if arguments.json else row)
    sys.exit(0 if float(str(rows[-1]["f1"])) >= BAR else 1)


if __name__ == "__main__":
    main()
