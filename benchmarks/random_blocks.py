"""Random weight blocks of each quantised type with sane values: mean 0, standard deviation 1/sqrt(cols).

The quants are random bits; only the scales are set. The block layouts are ggml's.
"""

from __future__ import annotations

import numpy as np
from gguf import GGML_QUANT_SIZES
from gguf import GGMLQuantizationType as Type

POOL_BYTES = 4 << 20


def pool(kind: Type, cols: int, seed: int) -> np.ndarray:
    """About POOL_BYTES of random blocks, uint8 [blocks, block_bytes], for a matrix of `cols` inputs."""
    _, block_bytes = GGML_QUANT_SIZES[kind]
    blocks = POOL_BYTES // block_bytes | 1  # odd: rows do not repeat in step with the pool
    generator = np.random.default_rng(seed)
    data = generator.integers(0, 256, (blocks, block_bytes), dtype=np.uint8)
    _SCALES[kind](data, 1 / np.sqrt(cols), generator)
    return data


def _half(value: float) -> np.ndarray:
    return np.frombuffer(np.float16(value).tobytes(), dtype=np.uint8)


def _q4_0(data: np.ndarray, deviation: float, _: np.random.Generator) -> None:
    data[:, 0:2] = _half(deviation / 4.6)  # scale, then 16 bytes of nibbles - 8


def _q8_0(data: np.ndarray, deviation: float, _: np.random.Generator) -> None:
    data[:, 0:2] = _half(deviation / 74)  # scale, then 32 int8


def _q6_k(data: np.ndarray, deviation: float, generator: np.random.Generator) -> None:
    signs = generator.choice([-1, 1], (len(data), 16))
    scales = (generator.integers(32, 64, (len(data), 16)) * signs).astype(np.int8)
    data[:, 192:208] = scales.view(np.uint8)  # after 128 bytes of low and 64 of high bits
    data[:, 208:210] = _half(deviation / (18.5 * 48))


def _k_with_minimum(data: np.ndarray, deviation: float, levels: int) -> None:
    """Q4_K and Q5_K: scale, minimum's scale, then 12 bytes of 6-bit scales and minima, made equal here."""
    middle, spread = (levels - 1) / 2, levels / np.sqrt(12)
    scale = deviation / (spread * 36)  # 36: about the root mean square of 6 random bits
    data[:, 0:2] = _half(scale)
    data[:, 2:4] = _half(scale * middle)
    data[:, 8:12] = data[:, 4:8]
    data[:, 12:16] = data[:, 12:16] % 16 * 17


_SCALES = {
    Type.Q4_0: _q4_0,
    Type.Q8_0: _q8_0,
    Type.Q6_K: _q6_k,
    Type.Q4_K: lambda data, deviation, _: _k_with_minimum(data, deviation, 16),
    Type.Q5_K: lambda data, deviation, _: _k_with_minimum(data, deviation, 32),
}
