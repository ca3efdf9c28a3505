"""The model's second look at passages that the search finds nearly equal: whom it asks, what it changes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from sillar.documents.answer import SEARCHED, AnswerOptions, answer, second_look
from sillar.documents.likelihood import CLOSE, QuestionLikelihood
from sillar.documents.rerank import RerankOptions
from sillar.errors import OverloadedError, RequestError
from tests.documents.fakes import ScriptedModel, index_of
from tests.documents.test_rerank import MarkReranker

PASSAGES = {
    "a": "The printer in the office has a green lid and paper for letters on the first floor.",
    "b": "The printer in the office has a white lid and paper for plans on the first floor. MARK",
    "c": "Bicycles stand behind the house, where a roof keeps the rain away from them. MARK",
    "d": "La impresora de la oficina tiene papel para cartas y una tapa verde. MARK",
}
SCORES = {"a": 0.9, "b": 0.85, "c": 0.5, "d": 0.87}
QUESTION = "Which paper does the green printer in the office have?"


class MarkModel(ScriptedModel):
    """Every word of a question is likelier after a text that holds the mark."""

    def __init__(self, nats: float = 3.0, error: Exception | None = None, seconds: float = 0.0) -> None:
        super().__init__("")
        self.nats = nats
        self.error = error
        self.seconds = seconds
        self.read: list[str] = []
        self.tenants: set[str] = set()

    def prompt_seconds(self) -> float:
        return self.seconds

    async def score_answers(
        self, conversations: Sequence[Sequence[dict[str, str]]], answer: str, *, tenant: str = ""
    ) -> NDArray[np.float32]:
        if self.error is not None:
            raise self.error
        texts = [messages[-1]["content"] for messages in conversations]
        self.read += texts
        self.tenants.add(tenant)
        scores = [[self.nats * ("MARK" in text) - 5.0] * len(answer.split()) for text in texts]
        return np.array(scores, np.float32)


async def ranked(
    path: Path, model: MarkModel | None, *, reranker: bool = False, options: RerankOptions = CLOSE
) -> list[str]:
    async with index_of(path, PASSAGES) as index:
        found = [replace(p, score=SCORES[p.document]) for p in await index.search(QUESTION, SEARCHED)]
        found.sort(key=lambda passage: -passage.score)
        index.reranker = MarkReranker() if reranker else None
        again = await second_look(QUESTION, found, index, model, "tenant", options)  # type: ignore[arg-type]
        assert [p.score for p in again] == [p.score for p in found]
        return [passage.document for passage in again]


async def test_only_passages_that_are_nearly_as_good_and_english_are_read_again(tmp_path: Path) -> None:
    model = MarkModel()
    assert (await ranked(tmp_path / "a.db", None))[0] == "a"
    assert (await ranked(tmp_path / "b.db", model)) == ["b", "d", "a", "c"]
    assert len(model.read) == 2
    assert all("printer" in text for text in model.read)
    assert model.tenants == {"tenant"}


@pytest.mark.parametrize("error", [OverloadedError("Full."), RequestError("Too long.")])
async def test_a_model_that_cannot_now_changes_nothing(tmp_path: Path, error: Exception) -> None:
    assert (await ranked(tmp_path / "i.db", MarkModel(error=error)))[0] == "a"


async def test_a_slow_model_and_one_beside_a_reranker_are_not_asked(tmp_path: Path) -> None:
    for name, model, reranker in (("a", MarkModel(seconds=0.1), False), ("b", MarkModel(), True)):
        assert (await ranked(tmp_path / f"{name}.db", model, reranker=reranker))[0] == "a"
        assert model.read == []


async def test_an_answer_does_not_wait_for_a_model_that_is_slower_than_it_said(tmp_path: Path) -> None:
    class Silent(MarkModel):
        async def score_answers(self, *_: object, **__: object) -> NDArray[np.float32]:
            await asyncio.Event().wait()
            raise AssertionError("never")

    assert (await ranked(tmp_path / "i.db", Silent(), options=replace(CLOSE, seconds=0.01)))[0] == "a"


async def test_one_word_does_not_decide_alone() -> None:
    scores = await QuestionLikelihood(MarkModel(nats=50.0)).score("one two", ["text", "text MARK"])
    assert scores.tolist() == [-4.0, 4.0]


async def test_a_long_passage_is_read_to_its_limit_only(tmp_path: Path) -> None:
    model = MarkModel()
    texts = {name: f"The printer in the office, {name}. " + "It prints. " * 90 for name in ("one", "two")}
    async with index_of(tmp_path / "i.db", texts) as index:
        options = AnswerOptions(abstain=False)
        result = await answer("Where is the printer?", index, model, options)  # type: ignore[arg-type]
    assert result.citations
    assert model.read
    assert all(len(text) < CLOSE.letters + 60 for text in model.read)
