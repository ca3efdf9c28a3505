"""Everyday questions, and questions about another event: `python -m evaluations.everyday [--json] [--show]`.

Short documents of made-up companies and questions in words of their own, English and Spanish; half of the
questions are not answered by the documents. See the note in everyday.json.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluations.models import load_embedder
from sillar.documents.answer import Answer, AnswerOptions, answer
from sillar.documents.document import Document, DocumentBuilder
from sillar.documents.index import Index
from sillar.documents.interfaces import TextEmbedder

QUESTIONS = Path(__file__).with_name("everyday.json")
HALVES = ("dev", "test", "later")
KINDS = ("everyday", "events")
_OPTIONS = AnswerOptions(style="quote")


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, and what a right answer holds; nothing where the documents do not answer it."""

    text: str
    kind: str
    holds: str | None


def sets(half: str) -> list[Mapping[str, Any]]:
    """Of "dev", "test" or "later"; the note in the file says what they are."""
    return list(json.loads(QUESTIONS.read_text(encoding="utf-8"))[half])


def questions(data: Mapping[str, Any]) -> Iterator[Asked]:
    """Those of one set."""
    for kind, prefix in zip(KINDS, ("", "events_"), strict=True):
        for text, holds in data[f"{prefix}answered"]:
            yield Asked(text, kind, holds)
        for text in data[f"{prefix}refused"]:
            yield Asked(text, kind, None)


@asynccontextmanager
async def indexed(data: Mapping[str, Any], embedder: TextEmbedder) -> AsyncIterator[Index]:
    """An index of the set's documents."""
    with tempfile.TemporaryDirectory() as folder:
        async with Index.open(Path(folder) / "index.db", embedder) as index:
            documents = [(name, _document(text)) for name, text in data["documents"].items()]
            await index.add_documents(data["name"], documents)
            yield index


def _document(text: str) -> Document:
    builder = DocumentBuilder()
    for block in text.split("\n\n"):
        heading = block.startswith("# ")
        builder.add("heading" if heading else "paragraph", block.removeprefix("# "), level=int(heading))
    return builder.build()


def verdict(asked: Asked, given: Answer) -> str:
    """right, wrong (another sentence than the one that answers), refused: of what the documents answer.
    kept (refused as it should be), taken: of what they do not.
    """
    if asked.holds is None:
        return "kept" if given.abstained else "taken"
    if given.abstained:
        return "refused"
    return "right" if asked.holds in given.text else "wrong"


def _shown(asked: Asked, given: Answer) -> bool:
    held = [passage.text for passage in given.passages[: len(given.nearest)]]
    return any(asked.holds is not None and asked.holds in text for text in held)


async def evaluate(
    data: Mapping[str, Any], embedder: TextEmbedder, show: bool = False
) -> list[dict[str, Any]]:
    """The verdicts of one set, counted, for each kind of question; shown: refused, but the passage that
    answers is among the nearest.
    """
    verdicts = ("right", "wrong", "refused", "shown", "kept", "taken")
    counts = {kind: dict.fromkeys(verdicts, 0) for kind in KINDS}
    async with indexed(data, embedder) as index:
        for asked in questions(data):
            given = await answer(asked.text, index, None, _OPTIONS)
            found = verdict(asked, given)
            counts[asked.kind][found] += 1
            counts[asked.kind]["shown"] += found == "refused" and _shown(asked, given)
            if show:
                print(f"{found:8} {given.support:.3f} {asked.text} -> {given.text}")
    return [{"name": data["name"], "kind": kind, **counted} for kind, counted in counts.items()]


async def run(embedder: TextEmbedder, halves: Sequence[str] = HALVES) -> list[dict[str, Any]]:
    """The counts of all sets, each of both kinds of questions."""
    rows = []
    for half in halves:
        for data in sets(half):
            rows += [{"half": half, **row} for row in await evaluate(data, embedder)]
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--half", choices=HALVES, default="test")
    parser.add_argument("--embedder", default="", help="name or path of the embedder (the default one)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--show", action="store_true", help="each question with its answer")
    arguments = parser.parse_args()
    embedder = load_embedder(arguments.embedder)
    for data in sets(arguments.half):
        for row in asyncio.run(evaluate(data, embedder, arguments.show)):
            print(json.dumps(row) if arguments.json else row)


if __name__ == "__main__":
    main()
