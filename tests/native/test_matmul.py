"""Matrix products: the reference against gguf's dequantisation, every ISA against the reference."""

from __future__ import annotations

import gguf
import numpy as np
import pytest
from numpy.typing import NDArray

from sillar import _native

kernels = _native.kernels
TYPES = {t.name.lower(): t for t in gguf.GGMLQuantizationType if t.name.lower() in {
    "f32", "f16", "bf16", "q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q2_k", "q3_k", "q4_k", "q5_k", "q6_k",
}}  # fmt: skip
FLOATS = {"f32", "f16", "bf16"}
F16_FIELDS = {  # where a block's fp16 scales lie: the only bytes of a block that not every value suits
    "q4_0": [0], "q4_1": [0, 2], "q5_0": [0], "q5_1": [0, 2], "q8_0": [0], "q2_k": [80, 82],
    "q3_k": [108], "q4_k": [0, 2], "q5_k": [0, 2], "q6_k": [208],
}  # fmt: skip
ROW_SCALED = {"q4_0", "q4_1"}
SHAPES = [(576, 576), (1536, 576), (576, 1536), (77, 4096), (16, 256), (1, 512), (100, 2304), (40, 96)]
TOKENS = [1, 2, 3, 5, 16, 17, 100]


def random_weights(name: str, rows: int, cols: int, seed: int = 0) -> NDArray[np.uint8]:
    """Blocks whose bits are all random but for sane scales: [rows, row_bytes]."""
    rng = np.random.default_rng(seed)
    if name in FLOATS:
        values = rng.standard_normal((rows, cols), dtype=np.float32)
        return gguf.quants.quantize(values, TYPES[name]).view(np.uint8).reshape(rows, -1)
    block, block_bytes = gguf.GGML_QUANT_SIZES[TYPES[name]]
    blocks = rng.integers(0, 256, (rows, cols // block, block_bytes), dtype=np.uint8)
    for offset in F16_FIELDS[name]:
        scales = rng.uniform(-0.02, 0.02, blocks.shape[:2]).astype(np.float16)
        blocks[:, :, offset : offset + 2] = scales[..., None].view(np.uint8)
    return blocks.reshape(rows, -1)


def random_rows(tokens: int, cols: int, seed: int = 1) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((tokens, cols), dtype=np.float32)


def present_isas() -> list[str]:
    """The instruction sets that this machine runs, the reference left out."""
    found = []
    for isa in ("avx2", "avx512", "amx"):
        try:
            kernels.quantize(isa, np.zeros((1, 32), np.float32))
        except _native.Error:
            continue
        found.append(isa)
    return found


isas = pytest.mark.parametrize("isa", present_isas())
types = pytest.mark.parametrize("name", sorted(TYPES))


def scale_columns(name: str) -> int:
    """Columns of activations that share a scale when a matrix of this type reads them."""
    return 256 if name.endswith("_k") else 32


def columns_for(name: str, cols: int) -> int:
    block = gguf.GGML_QUANT_SIZES[TYPES[name]][0]
    return (cols + block - 1) // block * block


@types
@pytest.mark.parametrize("isa", ["reference", *present_isas()])
def test_dequantized_rows_equal_the_format(name: str, isa: str) -> None:
    weights = random_weights(name, 5, 512)
    ours = kernels.dequantize(isa, int(TYPES[name]), weights, 512)
    np.testing.assert_array_equal(ours, gguf.quants.dequantize(weights, TYPES[name]).reshape(5, 512))


@pytest.mark.parametrize("name", sorted(set(TYPES) - ROW_SCALED))
def test_reference_equals_the_dequantised_product(name: str) -> None:
    rows, cols, tokens = 37, 768, 4
    weights, x = random_weights(name, rows, cols), random_rows(tokens, cols)
    dense = gguf.quants.dequantize(weights, TYPES[name]).reshape(rows, cols).astype(np.float64)
    out = kernels.Weights(int(TYPES[name]), weights, cols).matmul("reference", x)
    if name not in FLOATS:  # the same rounding of activations as the kernel's, so that only sums differ
        values, scales, *_ = kernels.quantize("reference", x, scale_columns(name))
        x = values.astype(np.float32) * np.repeat(scales, 32, axis=1)
    magnitude = np.abs(x).astype(np.float64) @ np.abs(dense).T
    assert np.max(np.abs(out - x @ dense.T) / magnitude) < 2e-6


def row_scaled_product(name: str, weights: NDArray[np.uint8], x: NDArray[np.float32]) -> NDArray[np.float64]:
    """The arithmetic of q4_0 and q4_1 in whole numbers, as kernels.h describes it."""
    halves = len(F16_FIELDS[name])
    blocks = weights.reshape(len(weights), -1, 16 + 2 * halves)
    fields = np.ascontiguousarray(blocks[:, :, : 2 * halves]).view(np.float16).astype(np.float32)
    d, low = fields[:, :, 0], blocks[:, :, 2 * halves :]
    m = (fields[:, :, 1] if halves == 2 else -8 * d) + 8 * d
    q = np.concatenate([low & 15, low >> 4], axis=2).astype(np.int64) - 8  # [rows, groups, 32]
    unit = np.maximum(np.abs(d), np.abs(m) / 8).max(axis=1, keepdims=True) / np.float32(4095)
    d_int, m_int = (np.rint(part / unit).astype(np.int64) for part in (d, m / 8))
    values, _, *_, shares, sum_shares, block_scales = kernels.quantize("reference", x)
    groups = values.reshape(len(x), -1, 32).astype(np.int64)
    count = groups.shape[1]
    dots = np.einsum("tgc,rgc->trg", groups, q)
    shared = (dots * shares[:, None, :count].astype(np.int64) + 2**14) >> 15
    totals = shared * d_int + sum_shares[:, None, :count].astype(np.int64) * m_int
    padded = np.pad(totals, ((0, 0), (0, 0), (0, -count % 8)))
    totals = padded.reshape(*padded.shape[:2], -1, 8).sum(axis=3)
    assert np.abs(totals).max() < 2**31
    return np.einsum("trb,tb->tr", totals, block_scales.astype(np.float64)) * unit[:, 0]


@pytest.mark.parametrize("name", sorted(ROW_SCALED))
@pytest.mark.parametrize("cols", [768, 96, 576])
def test_whole_numbers_of_a_row_equal_their_definition(name: str, cols: int) -> None:
    weights, x = random_weights(name, 37, cols), random_rows(4, cols)
    out = kernels.Weights(int(TYPES[name]), weights, cols).matmul("reference", x)
    expected = row_scaled_product(name, weights, x)
    assert np.max(np.abs(out - expected)) < 1e-6 * np.abs(expected).max()


@pytest.mark.parametrize("name", sorted(ROW_SCALED))
def test_whole_numbers_of_a_row_cost_little_beside_8_bit_activations(name: str) -> None:
    dense = np.random.default_rng(3).standard_normal((64, 2048), dtype=np.float32)
    weights = gguf.quants.quantize(dense, TYPES[name])
    dense = gguf.quants.dequantize(weights, TYPES[name]).astype(np.float64)
    x = random_rows(32, 2048) * np.random.default_rng(4).lognormal(0, 1, 2048).astype(np.float32)
    values, scales, *_ = kernels.quantize("reference", x)
    rounded = values * np.repeat(scales, 32, axis=1)
    out = kernels.Weights(int(TYPES[name]), weights.view(np.uint8), 2048).matmul("reference", x)
    of_activations = np.linalg.norm(rounded @ dense.T - x @ dense.T)
    assert np.linalg.norm(out - rounded @ dense.T) < 0.1 * of_activations


@pytest.mark.parametrize("scale_cols", [32, 128, 256])
def test_activations_lose_at_most_half_a_step(scale_cols: int) -> None:
    x = random_rows(7, 768)
    values, scales, sums, group_sums, group_sums_f32, *_ = kernels.quantize("reference", x, scale_cols)
    steps = np.repeat(scales, 32, axis=1)
    assert np.all(np.abs(values * steps - x) <= 0.5001 * steps)
    assert np.abs(values).reshape(7, -1, scale_cols).max(axis=2).min() == 127
    np.testing.assert_array_equal(sums, values.astype(np.int16).reshape(7, -1, 16).sum(axis=2))
    np.testing.assert_array_equal(group_sums, values.astype(np.int16).reshape(7, -1, 32).sum(axis=2))
    np.testing.assert_array_equal(group_sums_f32, group_sums)


@isas
@pytest.mark.parametrize("scale_cols", [32, 128, 256])
def test_quantised_activations_equal_the_reference(isa: str, scale_cols: int) -> None:
    exponents = np.resize(np.arange(-36, 40, 4, dtype=np.float32), 24).repeat(32)
    x = random_rows(3, 768) * np.float32(10) ** exponents
    x[0, :256] = 0
    ours = kernels.quantize(isa, x, scale_cols)
    for part, expected in zip(ours, kernels.quantize("reference", x, scale_cols), strict=True):
        np.testing.assert_array_equal(part, expected)


@isas
@types
@pytest.mark.parametrize(("rows", "cols"), SHAPES)
def test_isa_equals_reference_bit_for_bit(isa: str, name: str, rows: int, cols: int) -> None:
    """All token counts of one shape; the reference is slow, so it computes a sample of rows only."""
    cols = columns_for(name, cols)
    weights, x = random_weights(name, rows, cols), random_rows(max(TOKENS), cols)
    sample = np.unique(np.r_[0 : rows : max(rows // 12, 1), max(rows - 3, 0) : rows])
    kind = int(TYPES[name])
    expected = kernels.Weights(kind, np.ascontiguousarray(weights[sample]), cols).matmul("reference", x)
    packed = kernels.Weights(kind, weights, cols)
    for tokens in TOKENS:
        out = packed.matmul(isa, x[:tokens], threads=2 if tokens > 16 else 1)
        np.testing.assert_array_equal(out[:, sample], expected[:tokens])


COARSE = ["q4_0", "q4_1", "q5_0", "q5_1"]


def rounded_to_bytes(dense: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weights with one fp16 scale for 128 columns, the largest of them 127."""
    blocks = dense.reshape(len(dense), -1, 128)
    steps = np.abs(blocks).max(axis=2, keepdims=True) / np.float32(127)
    scales = steps.astype(np.float16).astype(np.float32)
    return (np.clip(np.rint(blocks / scales), -127, 127) * scales).reshape(dense.shape)


@pytest.mark.parametrize("name", COARSE)
def test_weights_for_batches_are_bytes_with_one_scale_for_128_columns(name: str) -> None:
    rows, cols, tokens = 37, 768, 4
    weights, x = random_weights(name, rows, cols), random_rows(tokens, cols)
    dense = gguf.quants.dequantize(weights, TYPES[name]).reshape(rows, cols)
    rounded = rounded_to_bytes(dense).astype(np.float64)
    values, scales, *_ = kernels.quantize("reference", x, 128)
    x8 = values.astype(np.float32) * np.repeat(scales, 32, axis=1)
    out = kernels.Weights(int(TYPES[name]), weights, cols, for_batches=True).matmul("reference", x)
    magnitude = np.abs(x8).astype(np.float64) @ np.abs(rounded).T
    assert np.max(np.abs(out - x8 @ rounded.T) / magnitude) < 1e-3  # 1 / scale is not division: a tie or two
    exact = x @ dense.T
    assert np.linalg.norm(out - exact) < 0.02 * np.linalg.norm(exact)


@isas
@pytest.mark.parametrize("name", COARSE)
@pytest.mark.parametrize(("rows", "cols"), [(384, 384), (384, 1536), (77, 128), (100, 640)])
def test_weights_for_batches_equal_the_reference(isa: str, name: str, rows: int, cols: int) -> None:
    weights, x = random_weights(name, rows, cols), random_rows(100, cols)
    packed = kernels.Weights(int(TYPES[name]), weights, cols, for_batches=True)
    sample = np.ascontiguousarray(weights[: min(rows, 20)])
    expected = kernels.Weights(int(TYPES[name]), sample, cols, for_batches=True).matmul("reference", x)
    for tokens in TOKENS:
        out = packed.matmul(isa, x[:tokens], threads=2 if tokens > 16 else 1)
        np.testing.assert_array_equal(out[:, : len(sample)], expected[:tokens])


@isas
def test_bytes_whose_scales_are_coarse_anyway_are_packed_as_they_are(isa: str) -> None:
    rows, cols = 77, 384
    rng = np.random.default_rng(3)
    integers = rng.integers(-128, 128, (rows, cols // 32, 32)).astype(np.int8)
    scales = np.repeat(rng.uniform(0.01, 1, (rows, cols // 128, 1)), 4, axis=1).astype(np.float16)
    weights = np.concatenate([scales.view(np.uint8).reshape(rows, -1, 2), integers.view(np.uint8)], axis=2)
    dense = (integers * scales.astype(np.float32)).reshape(rows, cols)
    packed = kernels.Weights(int(TYPES["q8_0"]), weights.reshape(rows, -1), cols, for_batches=True)
    x = random_rows(100, cols)
    values, x_scales, *_ = kernels.quantize("reference", x, 128)
    x8 = values.astype(np.float64) * np.repeat(x_scales, 32, axis=1)
    for tokens in TOKENS:
        np.testing.assert_allclose(
            packed.matmul(isa, x[:tokens]), (x8 @ dense.T)[:tokens], rtol=1e-4, atol=1e-2
        )


def test_types_that_have_no_faster_form_stay_what_they_are() -> None:
    for name, cols in (("f16", 256), ("q4_k", 256), ("q8_0", 256), ("q4_0", 96)):
        weights = random_weights(name, 16, cols)
        plain, batches = (kernels.Weights(int(TYPES[name]), weights, cols, flag) for flag in (False, True))
        assert plain.packed_bytes == batches.packed_bytes


@isas
@types
def test_bias_and_residual(isa: str, name: str) -> None:
    rows, cols = 50, 512
    rng = np.random.default_rng(5)
    bias = rng.standard_normal(rows, dtype=np.float32)
    packed = kernels.Weights(int(TYPES[name]), random_weights(name, rows, cols), cols)
    for tokens in (1, 33):
        x, residual = random_rows(tokens, cols), rng.standard_normal((tokens, rows), dtype=np.float32)
        plain = packed.matmul("reference", x)
        np.testing.assert_array_equal(packed.matmul(isa, x, bias=bias), plain + bias)
        np.testing.assert_array_equal(packed.matmul(isa, x, add_to=residual), residual + plain)
        np.testing.assert_array_equal(packed.matmul(isa, x, bias, residual), residual + (plain + bias))


@isas
@types
def test_hostile_scales_do_not_crash(isa: str, name: str) -> None:
    cols = 512
    weights = np.full_like(random_weights(name, 20, cols), 255)
    x = random_rows(9, cols)
    x[1, 3], x[2, 5] = np.nan, np.inf
    with np.errstate(invalid="ignore"):
        assert kernels.Weights(int(TYPES[name]), weights, cols).matmul(isa, x).shape == (9, 20)


@types
def test_packed_weights_stay_near_the_size_of_the_file(name: str) -> None:
    weights = random_weights(name, 64, 1024)
    packed = kernels.Weights(int(TYPES[name]), weights, 1024).packed_bytes
    assert packed <= 1.055 * weights.nbytes
