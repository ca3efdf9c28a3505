"""The reranker over a fake encoder: order, truncation of documents but never of queries, batches, counts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from sillar.engine.reranker import Reranker
from sillar.errors import RequestError

BEGIN, END = 1, 2


class FakePairEncoder:
    """A pair's score is its length; all that came is kept."""

    max_tokens = 20

    def __init__(self) -> None:
        self.calls: list[int] = []
        self.pairs: dict[int, list[int]] = {}
        self.first: set[int] = set()

    def score(self, pairs: Sequence[NDArray[np.int32]], first: NDArray[np.int32]) -> NDArray[np.float32]:
        self.calls.append(sum(map(len, pairs)))
        self.pairs |= {len(pair): pair.tolist() for pair in pairs}
        self.first |= set(first.tolist())
        return np.array([len(pair) for pair in pairs], np.float32)


def make() -> tuple[Reranker, FakePairEncoder]:
    encoder = FakePairEncoder()
    return Reranker("fake", encoder, lambda text, begins: [BEGIN] * begins + [*map(ord, text), END]), encoder


async def test_scores_come_in_the_order_of_the_documents() -> None:
    reranker, encoder = make()
    scores, tokens = await reranker.score_counted("ab", ["ccc", "", "dd"])
    assert scores.dtype == np.float32
    assert scores.tolist() == [8, 5, 7]
    assert tokens == 20
    assert encoder.pairs[7] == [BEGIN, ord("a"), ord("b"), END, ord("d"), ord("d"), END]
    assert encoder.first == {4}
    assert (await reranker.score("ab", [])).shape == (0,)
    reranker.close()


async def test_a_long_document_is_cut_and_keeps_its_end() -> None:
    reranker, encoder = make()
    assert (await reranker.score("ab", ["c" * 100])).tolist() == [20]
    assert encoder.pairs[20] == [BEGIN, ord("a"), ord("b"), END, *[ord("c")] * 15, END]
    reranker.close()


async def test_a_long_query_is_refused_and_never_cut() -> None:
    reranker, _ = make()
    assert (await reranker.score("a" * 8, ["b"])).tolist() == [12]
    with pytest.raises(RequestError, match="11 tokens; fake takes up to 10"):
        await reranker.score("a" * 9, ["b"])
    reranker.close()


async def test_many_documents_come_in_batches() -> None:
    reranker, encoder = make()
    documents = ["d" * (n % 17) for n in range(500)]
    assert (await reranker.score("", documents)).tolist() == [3 + len(document) for document in documents]
    assert len(encoder.calls) > 4
    assert max(encoder.calls) <= 1024
    reranker.close()
