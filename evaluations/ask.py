"""Twenty questions over real manuals, the right document cited first? `python -m evaluations.ask [--json]`.

Passes (exit status 0) with 17 or more. The manuals are fetched and indexed the first time.
"""

from __future__ import annotations

import argparse
import asyncio
import fnmatch
import json
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import platformdirs

from evaluations.corpora import MANUALS, CorpusError, fetch
from evaluations.models import load_embedder, load_model
from sillar.documents import Index, IndexProgress
from sillar.documents.answer import AnswerOptions, Style, answer

QUESTIONS = Path(__file__).with_name("ask_questions.json")
BAR = 17


async def run(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """One row a question: what was answered, what was cited first, and whether that is right."""
    style: Style = arguments.style
    embedder = load_embedder()
    async with AsyncExitStack() as stack:
        model = await stack.enter_async_context(load_model(arguments.model)) if style != "quote" else None
        arguments.index.parent.mkdir(parents=True, exist_ok=True)
        index = await stack.enter_async_context(Index.open(arguments.index, embedder, update=True))
        await index.add_folder(arguments.documents, _show)
        rows = []
        for question in json.loads(QUESTIONS.read_text(encoding="utf-8"))["questions"]:
            result = await answer(question["q"], index, model, AnswerOptions(style=style))
            first = result.citations[0] if result.citations else None
            right = first is not None and any(
                fnmatch.fnmatch(first.document, p) for p in question["documents"]
            )
            rows.append(
                {"question": question["q"], "right": right, "abstained": result.abstained,
                 "support": round(result.support, 3), "document": first.document if first else None,
                 "page": first.page if first else None, "section": first.section if first else None,
                 "answer": result.text, "total_s": round(result.timings["total"], 3)}
            )  # fmt: skip
        return rows


def _show(step: IndexProgress) -> None:
    print(f"{step.done}/{step.total} {step.file}{': ' + step.failed if step.failed else ''}", file=sys.stderr)


def ensure_documents(folder: Path) -> None:
    """Fetches the manuals where they are not yet. CorpusError when they cannot be had."""
    if not any(folder.rglob("*.html")):
        fetch(MANUALS, folder)


def default_documents() -> Path:
    """Where the manuals are kept."""
    return platformdirs.user_cache_path("sillar") / "corpora" / "manuals"


def default_index() -> Path:
    """Where their index is kept."""
    return platformdirs.user_cache_path("sillar") / "corpora" / "manuals.db"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--documents", type=Path, default=default_documents(), help="where the manuals are kept"
    )
    parser.add_argument("--index", type=Path, default=default_index())
    parser.add_argument("--model", default="", help="name or path of the language model (the default one)")
    parser.add_argument("--style", choices=("auto", "quote", "generate"), default="auto")
    parser.add_argument("--json", action="store_true", help="one JSON object and nothing else")
    arguments = parser.parse_args()
    try:
        ensure_documents(arguments.documents)
    except CorpusError as error:
        sys.exit(str(error))
    rows = asyncio.run(run(arguments))
    right = sum(row["right"] for row in rows)
    if arguments.json:
        print(
            json.dumps({"right": right, "questions": len(rows), "bar": BAR, "rows": rows}, ensure_ascii=False)
        )
    else:
        for row in rows:
            mark = "right" if row["right"] else "WRONG"
            print(f"{mark} {row['support']:.2f} {row['question']}")
            print(f"      {row['document']}: {row['answer'][:200]}")
        print(f"{right} of {len(rows)} right (bar: {BAR})")
    sys.exit(0 if right >= BAR else 1)


if __name__ == "__main__":
    main()
