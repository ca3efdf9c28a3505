"""Question sets in the shape {name, lang, passages: [{id, text}], queries: [{q, gold: [id], answer}]}."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sillar.documents.document import Document, DocumentBuilder


@dataclass(frozen=True, slots=True)
class Query:
    """A question, the passages that answer it and the answers that count as right (may be empty)."""

    text: str
    gold: tuple[str, ...]
    answers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """Passages by id, and questions about them."""

    name: str
    language: str
    passages: dict[str, str]
    queries: tuple[Query, ...]


def load_set(path: Path) -> QuestionSet:
    """Reads a set. ValueError says which part of the file is not as it should be."""
    data = json.loads(path.read_text(encoding="utf-8"))
    try:
        passages = {str(item["id"]): str(item["text"]) for item in data["passages"]}
        queries = tuple(_query(item) for item in data["queries"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path}: no question set ({error!r} is missing or malformed).") from None
    return QuestionSet(str(data.get("name", path.stem)), str(data.get("lang", "")), passages, queries)


def _query(item: Mapping[str, Any]) -> Query:
    gold = item["gold"]
    answers = item.get("answers", item.get("answer", ()))
    return Query(
        str(item.get("q") or item.get("question") or item["text"]),
        (gold,) if isinstance(gold, str) else tuple(str(one) for one in gold),
        (answers,) if isinstance(answers, str) else tuple(str(one) for one in answers),
    )


def cross_lingual(questions: QuestionSet, passages: QuestionSet) -> QuestionSet:
    """The questions of one set over the passages of its translation (same ids)."""
    missing = {gold for query in questions.queries for gold in query.gold} - passages.passages.keys()
    if missing:
        raise ValueError(
            f"{passages.name} lacks passages that {questions.name} asks for: {sorted(missing)[:3]}"
        )
    return replace(questions, name=f"{questions.name}-over-{passages.name}", passages=passages.passages)


def as_documents(passages: dict[str, str]) -> Sequence[tuple[str, Document]]:
    """Each passage as a document of its own, named by its id."""
    documents = []
    for identifier, text in passages.items():
        builder = DocumentBuilder()
        for paragraph in text.split("\n\n"):
            builder.add("paragraph", paragraph)
        documents.append((identifier, builder.build()))
    return documents
