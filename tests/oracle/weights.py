"""A model file for the numpy transformers: metadata and dequantised tensors, read with the gguf package."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from numpy.typing import NDArray

from tests.oracle.gguf_reader import TensorReader

Floats = NDArray[np.float32]


class Weights:
    """as_engine: round where the engine rounds: what a quantised matrix multiplies to 8 bits with one scale
    a group of 32, and keys and values to fp16. Without it everything is fp32."""

    def __init__(self, path: Path, *, as_engine: bool = False) -> None:
        reader = TensorReader(path)
        self._fields = reader.fields
        self._tensors = {tensor.name: tensor for tensor in reader.tensors}
        self.as_engine = as_engine
        self.architecture = str(self._fields["general.architecture"].contents())
        self.get = cache(self._dequantised)

    def key(self, name: str, default: Any = None) -> Any:
        field = self._fields.get(f"{self.architecture}.{name}")
        return default if field is None else field.contents()

    def has(self, name: str) -> bool:
        return name in self._tensors

    def _dequantised(self, name: str) -> Floats:
        tensor = self._tensors[name]
        values = gguf.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        return values.reshape(tensor.shape[::-1])

    def rows(self, name: str, indices: list[int]) -> Floats:
        """Some rows of a matrix, without dequantising all of it."""
        tensor = self._tensors[name]
        return gguf.dequantize(tensor.data[np.asarray(indices)], tensor.tensor_type).astype(np.float32)

    def product(self, x: Floats, stem: str, name: str = "") -> Floats:
        """x times the transposed matrix `stem`.weight, plus its bias where it has one."""
        name = name or f"{stem}.weight"
        if self.as_engine and self._tensors[name].tensor_type.name not in ("F32", "F16", "BF16"):
            x = rounded(x)
        out = x @ self.get(name).T
        return out + self.get(f"{stem}.bias") if self.has(f"{stem}.bias") else out


def rounded(x: Floats) -> Floats:
    """x in 8 bits, one scale for each 32 values of the last axis."""
    groups = x.reshape(*x.shape[:-1], -1, 32)
    scale = np.abs(groups).max(axis=-1, keepdims=True) / np.float32(127)
    values = np.rint(np.divide(groups, scale, out=np.zeros_like(groups), where=scale > 0))
    return (values * scale).astype(np.float32).reshape(x.shape)


def softmax(x: Floats) -> Floats:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True), dtype=np.float32)
