"""Attention of every ISA and KV type against fp64 numpy: causal, windows, GQA, chunks, splits, stale blocks.

The oracle rounds keys and values as the cache does, so tolerances cover only the kernel's own arithmetic.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.native.kernel_support import Floats, isas, kernels, normal

ISAS = isas("attention") + ["avx512-bf16"] * ("avx512" in isas("attention"))  # without its bf16 instructions
pytestmark = pytest.mark.parametrize("isa", ISAS)

# Relative to the largest output. f16: fp32 math on exact values. bf16: queries and softmax weights are
# rounded to 8 bits on processors with a bf16 dot product, 2^-9 each. int8: queries to 8 bits as well.
TOLERANCE = {"f16": 2e-5, "bf16": 6e-3, "int8": 1e-2}


def as_cached(x: Floats, kv_type: str) -> NDArray[np.float64]:
    """x [tokens, kv_heads, head_dim] after the cache's rounding."""
    if kv_type == "f16":
        return x.astype(np.float16).astype(np.float64)
    if kv_type == "bf16":
        bits = x.view(np.uint32)
        rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)
        return rounded.astype(np.uint32).view(np.float32).astype(np.float64)
    scale = np.abs(x).max(axis=-1, keepdims=True).astype(np.float32) / np.float32(127)
    return np.rint(x / scale).clip(-127, 127).astype(np.float64) * scale


def oracle(q: Floats, k: Floats, v: Floats, kv_type: str, *, first: int, window: int) -> NDArray[np.float64]:
    """Softmax attention in fp64; row i of q is at position first + i."""
    wide_k, wide_v = as_cached(k, kv_type), as_cached(v, kv_type)
    group = q.shape[1] // k.shape[1]
    out = np.empty(q.shape)
    for i in range(q.shape[0]):
        position = first + i
        begin = max(0, position - window + 1) if window else 0
        for head in range(q.shape[1]):
            keys = wide_k[begin : position + 1, head // group]
            scores = keys @ q[i, head].astype(np.float64) * (q.shape[2] ** -0.5)
            weights = np.exp(scores - scores.max())
            out[i, head] = weights / weights.sum() @ wide_v[begin : position + 1, head // group]
    return out


def make_cache(isa: str, kv_type: str, k: Floats, v: Floats) -> Any:
    blocks = np.random.default_rng(3).permutation((k.shape[0] + 15) // 16 + 1).astype(np.int32)
    cache = kernels.KvCache(kv_type, k.shape[1], k.shape[2], blocks)
    cache.fill(0x3B)  # stale memory: finite values in every type
    cache.write(isa, 0, k, v)
    return cache


def attend(cache: Any, isa: str, q: Floats, first: int, **options: int) -> Floats:
    out: Floats = cache.attend(isa, q, first, scale=q.shape[2] ** -0.5, **options)
    return out


def check(actual: Floats, expected: NDArray[np.float64], kv_type: str) -> None:
    assert np.abs(actual - expected).max() <= TOLERANCE[kv_type] * np.abs(expected).max()


SHAPES = [  # queries, first position, q heads, kv heads, head_dim, window
    (1, 0, 1, 1, 64, 0),
    (1, 700, 9, 3, 64, 0),  # SmolLM2, decode
    (40, 0, 9, 3, 64, 0),  # prefill
    (33, 500, 9, 3, 64, 0),  # a later chunk, over a split's edge
    (19, 45, 32, 8, 128, 0),  # Mistral
    (50, 600, 4, 2, 128, 100),  # sliding window
    (7, 1100, 4, 1, 64, 512),
    (5, 70, 2, 2, 16, 3),
    (3, 30, 5, 1, 80, 0),
    (2, 90, 6, 2, 256, 0),
    (2, 40, 64, 1, 32, 0),
    (9, 17, 7, 1, 48, 1),
]


@pytest.mark.parametrize("kv_type", list(TOLERANCE))
@pytest.mark.parametrize("shape", SHAPES)
def test_against_fp64(isa: str, kv_type: str, shape: tuple[int, ...]) -> None:
    queries, first, heads, kv_heads, dim, window = shape
    k, v = normal(1, first + queries, kv_heads, dim), normal(2, first + queries, kv_heads, dim)
    q = normal(4, queries, heads, dim, scale=2)
    cache = make_cache(isa, kv_type, k, v)
    expected = oracle(q, k, v, kv_type, first=first, window=window)
    check(attend(cache, isa, q, first, window=window), expected, kv_type)
    check(attend(cache, isa, q, first, window=window, split=True), expected, kv_type)


@pytest.mark.parametrize("kv_type", list(TOLERANCE))
@pytest.mark.parametrize("window", [0, 130])
def test_a_row_does_not_depend_on_its_batch_or_on_splits(isa: str, kv_type: str, window: int) -> None:
    k, v, q = normal(1, 1100, 3, 64), normal(2, 1100, 3, 64), normal(4, 75, 9, 64)
    cache = make_cache(isa, kv_type, k, v)
    whole = attend(cache, isa, q, 1000, window=window)
    for tile in (1, 2, 5, 16):
        np.testing.assert_array_equal(attend(cache, isa, q, 1000, window=window, tile=tile), whole)
    if isa != "reference":  # the reference sums a row in one piece
        np.testing.assert_array_equal(attend(cache, isa, q, 1000, window=window, split=True), whole)


@pytest.mark.parametrize("kv_type", list(TOLERANCE))
def test_every_isa_writes_the_same_cache(isa: str, kv_type: str) -> None:
    k, v, q = normal(1, 50, 2, 48), normal(2, 50, 2, 48, scale=100), normal(4, 50, 2, 48)
    k[3, 0, :] = 0
    ours, theirs = make_cache(isa, kv_type, k, v), make_cache("reference", kv_type, k, v)
    np.testing.assert_array_equal(attend(ours, "reference", q, 0), attend(theirs, "reference", q, 0))


@pytest.mark.parametrize("kv_type", list(TOLERANCE))
def test_sharp_scores_and_nan(isa: str, kv_type: str) -> None:
    k, v, q = normal(1, 200, 1, 64, scale=30), normal(2, 200, 1, 64), normal(4, 10, 1, 64, scale=30)
    assert np.isfinite(attend(make_cache(isa, kv_type, k, v), isa, q, 190)).all()
    k[7], v[8, 0, 3], v[9, 0, 4] = np.nan, np.inf, 1e30
    cache = make_cache(isa, kv_type, k, v)
    assert np.isfinite(attend(cache, isa, q, 190)).all()  # the cache holds finite values only
    q[5, 0, 0] = np.nan
    out = attend(cache, isa, q, 190)
    assert np.isnan(out[5]).all()
    assert np.isfinite(out[4]).all()


@pytest.mark.parametrize(
    ("tokens", "heads", "dim"),
    [
        (1, 2, 32),
        (17, 3, 32),
        (130, 12, 32),
        (64, 2, 64),
        (200, 1, 80),
        (71, 2, 16),
        (45, 1, 256),
        (1100, 1, 32),
    ],
)
def test_encoder_attention(isa: str, tokens: int, heads: int, dim: int) -> None:
    q, k, v = (normal(seed, tokens, heads, dim) for seed in (1, 2, 3))
    out = kernels.encoder_attention(isa, q, k, v, dim**-0.5)
    scores = np.einsum("ihd,jhd->hij", q.astype(np.float64), k) * dim**-0.5
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    expected = np.einsum("hij,jhd->ihd", weights / weights.sum(axis=-1, keepdims=True), v)
    np.testing.assert_allclose(
        out, expected, atol=(1e-2 if isa == "avx512" else 2e-5) * np.abs(expected).max()
    )
