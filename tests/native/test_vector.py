"""Vector operations of every ISA against fp64 numpy, on real and ragged lengths.

Tolerances: sums run in fp32 over many lanes, so errors are a few ulp of the largest partial sum;
exp and erf are within 2 ulp and 4 ulp of fp32 (stated in their files).
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.native.kernel_support import isas, kernels, normal

LENGTHS = [1, 7, 15, 16, 17, 31, 33, 63, 64, 65, 100, 384, 576, 1000, 1536, 4096]
pytestmark = pytest.mark.parametrize("isa", isas("vector"))


@pytest.mark.parametrize("n", LENGTHS)
def test_norms(isa: str, n: int) -> None:
    x, weight, bias = normal(n, n) + 0.5, normal(n + 1, n), normal(n + 2, n)
    wide = x.astype(np.float64)
    expected = wide / np.sqrt(np.mean(wide**2) + 1e-5) * weight
    np.testing.assert_allclose(kernels.rms_norm(isa, x, weight, 1e-5), expected, rtol=2e-6, atol=1e-6)
    centred = wide - wide.mean()
    expected = centred / np.sqrt(np.mean(centred**2) + 1e-5) * weight + bias
    np.testing.assert_allclose(kernels.layer_norm(isa, x, weight, bias, 1e-5), expected, rtol=2e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("heads", "dim", "rotary"), [(9, 64, 64), (32, 128, 128), (3, 80, 32), (1, 16, 16), (2, 32, 6)]
)
@pytest.mark.parametrize("halves", [False, True])
def test_rope(isa: str, heads: int, dim: int, rotary: int, halves: bool) -> None:
    x, angle = normal(1, heads, dim), normal(2, rotary // 2, scale=10)
    out = kernels.rope(isa, x, np.cos(angle), np.sin(angle), halves)
    expected = x.astype(np.float64)
    if halves:
        first, second = slice(0, rotary // 2), slice(rotary // 2, rotary)
    else:
        first, second = slice(0, rotary, 2), slice(1, rotary, 2)
    a, b = x[:, first].astype(np.float64), x[:, second].astype(np.float64)
    expected[:, first] = a * np.cos(angle) - b * np.sin(angle)
    expected[:, second] = a * np.sin(angle) + b * np.cos(angle)
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("n", LENGTHS)
def test_activations(isa: str, n: int) -> None:
    x, up = normal(n, n, scale=4), normal(n + 1, n)
    wide = x.astype(np.float64)
    np.testing.assert_allclose(
        kernels.silu_mul(isa, x, up), wide / (1 + np.exp(-wide)) * up, rtol=2e-6, atol=1e-7
    )
    erf = np.array([math.erf(v / math.sqrt(2)) for v in wide])
    np.testing.assert_allclose(kernels.gelu(isa, x), 0.5 * wide * (1 + erf), rtol=2e-6, atol=1e-6)
    np.testing.assert_array_equal(kernels.add(isa, x, up), x + up)


def test_activations_over_the_whole_range(isa: str) -> None:
    x = np.concatenate([np.linspace(-120, 120, 100_001), [-1e30, 1e30, 0.0, -0.0]]).astype(np.float32)
    wide = x.astype(np.float64)
    with np.errstate(over="ignore"):
        silu = wide / (1 + np.exp(-wide))
    np.testing.assert_allclose(kernels.silu_mul(isa, x, np.ones_like(x)), silu, rtol=2e-6, atol=1e-30)
    gelu = 0.5 * wide * np.array([math.erfc(-v / math.sqrt(2)) for v in wide])
    np.testing.assert_allclose(kernels.gelu(isa, x), gelu, rtol=2e-6, atol=5e-7)


@pytest.mark.parametrize("n", LENGTHS)
def test_softmax_max_dot(isa: str, n: int) -> None:
    x, y = normal(n, n, scale=5), normal(n + 1, n)
    wide = x.astype(np.float64) * 0.7
    expected = np.exp(wide - wide.max())
    out = kernels.softmax(isa, x, 0.7)
    np.testing.assert_allclose(out, expected / expected.sum(), rtol=5e-6, atol=1e-30)
    assert kernels.max(isa, x) == x.max()
    assert kernels.dot(isa, x, y) == pytest.approx(float(wide / 0.7 @ y), rel=1e-5, abs=1e-4)


def test_softmax_of_masked_and_extreme_scores(isa: str) -> None:
    x = np.array([-np.inf, 0.0, -np.inf, 100.0, 100.0] + [-np.inf] * 40, np.float32)
    out = kernels.softmax(isa, x, 1.0)
    assert out[3] == pytest.approx(0.5)
    assert out[0] == 0
    assert np.isfinite(kernels.softmax(isa, np.full(33, 3e38, np.float32), 1.0)).all()


@pytest.mark.parametrize(("rows", "dim"), [(1, 384), (7, 384), (100, 384), (33, 1024), (5, 100), (3, 7)])
def test_scan_f16(isa: str, rows: int, dim: int) -> None:
    query, data = normal(1, dim), normal(2, rows, dim).astype(np.float16)
    out = kernels.scan_f16(isa, query, data.view(np.uint16))
    np.testing.assert_allclose(out, data.astype(np.float64) @ query, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("n", [0, 1, 5, 16, 100, 1000, 4099])
@pytest.mark.parametrize("k", [0, 1, 7, 40, 5000])
def test_top_k(isa: str, n: int, k: int) -> None:
    scores = np.round(normal(n + k, n), 1)  # rounded: ties are common
    expected = np.lexsort((np.arange(n), -scores))[:k]
    np.testing.assert_array_equal(kernels.top_k(isa, scores, k), expected)


def test_top_k_puts_nan_last(isa: str) -> None:
    scores = np.array([np.nan, 1, np.nan, 3, -np.inf, 2] * 20, np.float32)
    best = kernels.top_k(isa, scores, 81)
    assert list(best[:20]) == list(range(3, 120, 6))
    assert list(best[60:80]) == list(range(4, 120, 6))
    assert best[80] == 0


def test_nan_does_not_crash(isa: str) -> None:
    x = normal(1, 100)
    x[5], x[50], x[51] = np.nan, np.inf, -np.inf
    one = np.ones_like(x)
    for out in (kernels.rms_norm(isa, x, one, 1e-5), kernels.silu_mul(isa, x, one), kernels.gelu(isa, x)):
        assert out.shape == x.shape
    assert np.isnan(kernels.gelu(isa, x)[5])
    assert np.isnan(kernels.silu_mul(isa, x, one)[5])
    kernels.softmax(isa, x, 1.0)
    kernels.top_k(isa, x, 10)
