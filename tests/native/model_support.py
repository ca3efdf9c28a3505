"""What the model tests share: run a decoder over tokens, measure the distance of two sets of logits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("sillar._native", reason="the native extension is not built")

from sillar.engine.native import NativeDecoder, NativeOptions, cpu_info, load_decoder
from sillar.engine.request import SamplingParams, SequenceStep

GREEDY = SamplingParams()
BLOCK = 16
ISAS = [isa for isa, operations in cpu_info()["isas"].items() if "matmul" in operations]


def load(path: Path, isa: str = "", **options: object) -> NativeDecoder:
    return load_decoder(path, NativeOptions(isa=isa, **{"kv_tokens": 1024, "kv_type": "f16", **options}))  # type: ignore[arg-type]


def table(tokens: int, first: int = 0) -> NDArray[np.int32]:
    """A block table for `tokens` positions: blocks first, first + 1, ..."""
    return np.arange(first, first + -(-tokens // BLOCK), dtype=np.int32)


def sequence(
    tokens: Sequence[int],
    *,
    past: int = 0,
    blocks: NDArray[np.int32] | None = None,
    outputs: int | None = None,
    sampling: SamplingParams = GREEDY,
    **fields: object,
) -> SequenceStep:
    """A step of one sequence that makes logits for every token, in the cache's first blocks."""
    blocks = table(past + len(tokens)) if blocks is None else blocks
    outputs = len(tokens) if outputs is None else outputs
    array = np.asarray(tokens, dtype=np.int32)
    return SequenceStep(array, past, blocks, outputs, sampling, **fields)  # type: ignore[arg-type]


def logits(decoder: NativeDecoder, *batch: SequenceStep) -> NDArray[np.float32]:
    result = decoder.step(batch, want_logits=True).logits
    assert result is not None
    return result


def random_tokens(seed: int, n: int, vocab: int) -> list[int]:
    return list(map(int, np.random.default_rng(seed).integers(0, vocab, n)))


def distance(ours: NDArray[np.float32], truth: NDArray[np.float32]) -> float:
    """Root of the mean squared difference, in units of the truth's own root mean square."""
    return float(np.sqrt(np.mean((ours - truth) ** 2) / np.mean(truth**2)))
