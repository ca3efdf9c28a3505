"""ingest.py's figures, and that every subject embeds the same chunks that its index does."""

import asyncio

import numpy as np
import pytest

pytest.importorskip("sillar._native")

from benchmarks import ingest


class Recorder:
    """An embedder that keeps what it was asked."""

    dim = 4
    fingerprint = "recorder"

    def __init__(self):
        self.texts = []

    async def embed(self, texts, kind):
        assert kind == "passage"
        self.texts += texts
        return np.tile(np.float32([1, 0, 0, 0]), (len(texts), 1))


def test_ratios_are_of_neighbouring_rounds():
    figures = ingest.row({"ours": [1.0, 2.0, 4.0], ingest.PEER: [2.0, 6.0, 4.0]}, chunks=8)
    assert figures["ours"]["median"] == 4
    assert figures["ours"]["ratio"] == 2
    assert figures[ingest.PEER]["ratio"] == 1


def test_embedding_alone_has_the_chunks_that_the_pipeline_embeds(tmp_path):
    for name in ("a.md", "b.md"):
        (tmp_path / name).write_text(f"# Title {name}\n\nFirst thing.\n\n## Second\n\nAnother thing.\n")
    recorder = Recorder()
    asyncio.run(ingest.index(tmp_path, recorder))
    assert sorted(recorder.texts) == sorted(asyncio.run(ingest.chunks_of(sorted(tmp_path.iterdir()))))


def test_likeness_is_the_least_cosine():
    ours = np.float32([[1, 0], [0, 1]])
    theirs = np.float32([[1, 0], [0.6, 0.8]])
    assert ingest.likeness(ours, theirs) == pytest.approx(0.8)
