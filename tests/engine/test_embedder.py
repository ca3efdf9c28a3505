"""The embedder over a fake encoder: order, prefixes, truncation, batches."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sillar.engine.embedder import BATCH_TOKENS, Embedder, EmbedderSpec, batches


class FakeEncoder:
    """The vector says the first two tokens, the last and how many there were."""

    dim = 4
    max_tokens = 12

    def __init__(self) -> None:
        self.calls: list[int] = []
        self.called = threading.Event()
        self.go = threading.Event()  # no batch is done while it is clear
        self.go.set()

    def encode(self, texts: Sequence[NDArray[np.int32]]) -> NDArray[np.float32]:
        self.calls.append(len(texts))
        self.called.set()
        self.go.wait()
        return np.array([[*t[:2], t[-1], len(t)] for t in texts], np.float32)


def make() -> tuple[Embedder, FakeEncoder]:
    encoder = FakeEncoder()
    spec = EmbedderSpec("fake", "f1", {"query": "q", "passage": "p"})
    return Embedder(encoder, lambda text: [0, *map(ord, text), 2], spec), encoder


async def test_vectors_come_in_the_order_of_the_texts_with_their_prefix() -> None:
    embedder, _ = make()
    out = await embedder.embed(["bbb", "", "a" * 50], "query")
    assert out.tolist() == [[0, ord("q"), 2, 6], [0, ord("q"), 2, 3], [0, ord("q"), 2, 12]]
    assert (await embedder.embed([], "passage")).shape == (0, 4)
    embedder.close()


async def test_a_query_gets_in_between_the_batches_of_a_large_job() -> None:
    embedder, encoder = make()
    encoder.go.clear()
    job = asyncio.create_task(embedder.embed(["a" * 8] * (3 * BATCH_TOKENS // 10), "passage"))
    await asyncio.to_thread(encoder.called.wait)
    query = asyncio.create_task(embedder.embed(["question"], "query"))
    while embedder._thread._work_queue.empty():  # noqa: ASYNC110  it has no event for this
        await asyncio.sleep(0.001)
    encoder.go.set()
    await asyncio.gather(query, job)
    assert len(encoder.calls) > 3
    assert encoder.calls[1] == 1
    embedder.close()


async def test_a_batch_is_tokenised_while_the_one_before_is_encoded() -> None:
    last = threading.Event()
    waited: list[bool] = []

    class Waiting(FakeEncoder):
        def encode(self, texts: Sequence[NDArray[np.int32]]) -> NDArray[np.float32]:
            waited.append(last.wait(60))
            return super().encode(texts)

    def tokenize(text: str) -> list[int]:
        if text == "short":
            last.set()
        return [0, *map(ord, text), 2]

    embedder = Embedder(encoder := Waiting(), tokenize, EmbedderSpec("fake", "f1", {}))
    await embedder.embed(["short", *["a" * 8] * (BATCH_TOKENS // 10 + 1)], "passage")
    assert all(waited)
    assert len(encoder.calls) == 2
    embedder.close()


@given(st.lists(st.integers(1, 50), max_size=40))
def test_batches_hold_every_text_once_and_keep_their_size(lengths: list[int]) -> None:
    groups = batches(lengths, 60)
    assert sorted(i for group in groups for i in group) == list(range(len(lengths)))
    assert all(sum(lengths[i] for i in group) <= 60 for group in groups)
