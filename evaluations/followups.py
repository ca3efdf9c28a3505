"""Follow-up questions over real manuals: `python -m evaluations.followups [--json] [--plain]`.

--plain asks each question as it stands, without what it goes on from.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from evaluations.ask import default_documents, default_index, ensure_documents
from evaluations.corpora import CorpusError
from evaluations.embedding_cache import CachedEmbedder
from evaluations.models import load_embedder
from sillar.documents.answer import AnswerOptions, answer
from sillar.documents.conversation import Turn
from sillar.documents.index import Index

QUESTIONS = Path(__file__).with_name("followups.json")
BAR = 0.75


async def evaluate(index: Index, *, plain: bool) -> list[dict[str, Any]]:
    """One row a question: how it was searched, what was cited first, whether that is right."""
    rows = []
    for item in json.loads(QUESTIONS.read_text(encoding="utf-8"))["questions"]:
        turns = [] if plain else [Turn("user", text) for text in item["history"]]
        result = await answer(item["q"], index, None, AnswerOptions(style="quote"), history=turns)
        first = result.citations[0] if result.citations else None
        unchanged = result.asked == item["q"]
        right = first is not None and any(part in first.section for part in item["sections"])
        rows.append(
            {"question": item["q"], "asked": result.asked, "right": right, "abstained": result.abstained,
             "changed_wrongly": bool(item.get("alone")) and not unchanged,
             "section": first.section if first else None, "answer": result.text}
        )  # fmt: skip
    return rows


def figures(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """How many were right, were refused, and were changed although they stood for themselves."""
    return {
        "questions": len(rows),
        "right": sum(row["right"] for row in rows),
        "refused": sum(row["abstained"] for row in rows),
        "changed_wrongly": sum(row["changed_wrongly"] for row in rows),
    }


async def run(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    async with Index.open(arguments.index, CachedEmbedder(load_embedder()), update=True) as index:
        await index.add_folder(arguments.documents)
        return await evaluate(index, plain=arguments.plain)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=Path, default=default_documents())
    parser.add_argument("--index", type=Path, default=default_index())
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--json", action="store_true", help="one JSON object and nothing else")
    arguments = parser.parse_args()
    try:
        ensure_documents(arguments.documents)
    except CorpusError as error:
        sys.exit(str(error))
    rows = asyncio.run(run(arguments))
    result = figures(rows)
    if arguments.json:
        print(json.dumps({**result, "rows": rows}, ensure_ascii=False))
    else:
        for row in rows:
            print(f"{'right' if row['right'] else 'WRONG'} {row['question']} -> {row['section']}")
        print(result)
    sys.exit(0 if arguments.plain or result["right"] >= BAR * len(rows) else 1)


if __name__ == "__main__":
    main()
