"""Random weights of every GGUF type. gguf quantises the simple ones; a K-quant is random valid bytes."""

from __future__ import annotations

from typing import Any

import gguf
import numpy as np
from numpy.typing import NDArray

SIMPLE = ("F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0")
K_QUANTS = ("Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K")
ALL = SIMPLE + K_QUANTS

# Byte offset of the fp16 scale in a block and its size for unit weights; the same of the fp16 minimum.
_SCALES: dict[str, tuple[tuple[int, float], ...]] = {
    "Q2_K": ((80, 1.0e-1), (82, 1.5e-1)),
    "Q3_K": ((108, 2.4e-2),),
    "Q4_K": ((0, 6.8e-3), (2, 5.1e-2)),
    "Q5_K": ((0, 3.0e-3), (2, 4.6e-2)),
    "Q6_K": ((208, 7.5e-4),),
}


def random_tensor(
    rng: np.random.Generator, rows: int, cols: int, kind: str, deviation: float
) -> tuple[NDArray[Any], gguf.GGMLQuantizationType]:
    """A tensor [rows, cols] as it lies in a file, and its type. `deviation`: of its weights, roughly."""
    quantisation = gguf.GGMLQuantizationType[kind]
    if kind not in K_QUANTS:
        values = (rng.standard_normal((rows, cols)) * deviation).astype(np.float32)
        return gguf.quants.quantize(values, quantisation), quantisation
    block, size = gguf.GGML_QUANT_SIZES[quantisation]
    data = rng.integers(0, 256, (rows, cols // block, size), dtype=np.uint8)
    for offset, unit in _SCALES[kind]:
        scale = (unit * deviation * rng.uniform(0.7, 1.3, data.shape[:2])).astype(np.float16)
        data[..., offset : offset + 2] = scale[..., None].view(np.uint8)
    return data.reshape(rows, -1), quantisation
