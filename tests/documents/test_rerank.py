"""Reranking: English questions over English passages only, within its time, scores stay in order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sillar.documents.rerank import RerankOptions
from sillar.documents.search import SearchOptions
from sillar.errors import RequestError
from tests.documents.fakes import index_of

PASSAGES = {
    "a": "The printer in the office is on the second floor and the printer prints in colour for all of you.",
    "b": "You can reset the printer with the button that is under the lid at the back of it. MARK",
    "c": "The paper of the printer is in the cupboard and you may take as much of it as you need.",
    "d": "La impresora de la oficina está en la segunda planta y el papel está en el armario. MARK",
}


class MarkReranker:
    """Whoever holds the mark is best."""

    def __init__(self, token_seconds: float = 0.0, sure: float = 1.0) -> None:
        self.token_seconds = token_seconds
        self.sure = sure
        self.asked: list[list[str]] = []

    async def score(self, query: str, documents: Sequence[str]) -> NDArray[np.float32]:
        if len(query) > 500:
            raise RequestError("The query is too long.")
        self.asked.append(list(documents))
        return np.array([20.0 * self.sure * ("MARK" in text) for text in documents], np.float32)


async def found(
    path: Path, question: str, reranker: MarkReranker | None, options: RerankOptions | None = None
) -> list[tuple[str, float]]:
    async with index_of(path, PASSAGES) as index:
        index.options = SearchOptions(rerank=options or RerankOptions(candidates=6))
        index.reranker = reranker
        return [(passage.document, passage.score) for passage in await index.search(question, 3)]


async def test_the_best_english_passage_comes_first(tmp_path: Path) -> None:
    question = "Where is the printer in the office?"
    plain = await found(tmp_path / "i.db", question, None)
    reranker = MarkReranker()
    reranked = await found(tmp_path / "j.db", question, reranker)
    assert plain[0][0] == "a"
    assert reranked[0][0] == "b"
    assert len(reranked) == 3
    assert [score for _, score in reranked] == sorted((score for _, score in reranked), reverse=True)
    assert not any("impresora" in text for text in reranker.asked[0])


async def test_a_reranker_that_is_hardly_sure_does_not_outweigh_the_search(tmp_path: Path) -> None:
    question = "Where is the printer in the office?"
    unsure = MarkReranker(sure=0.01)
    assert await found(tmp_path / "i.db", question, unsure) == await found(tmp_path / "j.db", question, None)
    assert len(unsure.asked) == 1


async def test_a_spanish_question_is_left_alone(tmp_path: Path) -> None:
    question = "¿Dónde está la impresora de la oficina?"
    reranker = MarkReranker()
    assert await found(tmp_path / "i.db", question, reranker) == await found(
        tmp_path / "j.db", question, None
    )
    assert reranker.asked == []


async def test_no_more_is_read_than_fits_the_time(tmp_path: Path) -> None:
    question = "Where is the printer in the office?"
    slow, slower = MarkReranker(1e-3), MarkReranker(1.0)
    await found(tmp_path / "i.db", question, slow, RerankOptions(candidates=6, seconds=0.07))
    assert [len(texts) for texts in slow.asked] == [2]
    plain = await found(tmp_path / "j.db", question, None)
    assert await found(tmp_path / "k.db", question, slower) == plain
    assert slower.asked == []


async def test_a_question_that_is_too_long_changes_nothing(tmp_path: Path) -> None:
    question = "Where is the printer in the office? " * 30
    plain = await found(tmp_path / "i.db", question, None)
    assert await found(tmp_path / "j.db", question, MarkReranker()) == plain
