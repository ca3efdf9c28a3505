"""Writes small BERTs in ONNX Runtime's dynamic int8 form, as protocol buffers made by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

HIDDEN, FFN, LAYERS, POSITIONS = 64, 96, 2, 8
TOKENS = ["[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "dog", "##s", "bark", "."]
_TYPES = {"float32": 1, "uint8": 2, "int8": 3}


def varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def field(number: int, value: int | bytes | str) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    raw = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(raw)) + raw


def tensor(name: str, data: np.ndarray) -> bytes:
    dims = b"".join(field(1, n) for n in data.shape)
    kind = field(2, _TYPES[data.dtype.name])
    if data.ndim > 1 or (data.ndim and data.dtype == np.float32):
        return dims + kind + field(8, name) + field(9, data.tobytes())
    if data.dtype == np.float32:
        return dims + kind + field(4, data.tobytes()) + field(8, name)
    return (
        dims + kind + field(5, b"".join(varint(int(n) & (2**64 - 1)) for n in data.ravel())) + field(8, name)
    )


def quantised(name: str, data: np.ndarray, scale: Any, zero: Any = 0) -> dict[str, np.ndarray]:
    scale = np.asarray(scale, np.float32)
    zeros = np.broadcast_to(np.asarray(zero, data.dtype), scale.shape)
    return {f"{name}_quantized": data, f"{name}_scale": scale, f"{name}_zero_point": zeros}


class TinyBert:
    """A random BERT; change `tensors` and `nodes` before writing it."""

    def __init__(self, *, classifier: bool = True, root: str = "bert.", per_column: bool = False) -> None:
        self._random = np.random.default_rng(0)
        self._per_column = per_column
        self.tensors: dict[str, np.ndarray] = {}
        self.nodes: dict[str, str] = {}
        for name, rows in (("word", len(TOKENS)), ("position", POSITIONS), ("token_type", 2)):
            table = self._random.integers(0, 256, (rows, HIDDEN)).astype(np.uint8)
            self.tensors |= quantised(f"{root}embeddings.{name}_embeddings.weight", table, 0.01, 120)
        self._norm(f"{root}embeddings.LayerNorm")
        for n in range(LAYERS):
            layer = f"{root}encoder.layer.{n}."
            for part in ("query", "key", "value"):
                self._linear(f"{layer}attention.self.{part}", HIDDEN, HIDDEN)
            self._linear(f"{layer}attention.output.dense", HIDDEN, HIDDEN)
            self._linear(f"{layer}intermediate.dense", HIDDEN, FFN)
            self._linear(f"{layer}output.dense", FFN, HIDDEN)
            self._norm(f"{layer}attention.output.LayerNorm")
            self._norm(f"{layer}output.LayerNorm")
        if classifier:
            self._linear(f"{root}pooler.dense", HIDDEN, HIDDEN, "Gemm_MatMul")
            self._linear("classifier", HIDDEN, 1, "Gemm_MatMul")

    def _norm(self, name: str) -> None:
        for part in ("weight", "bias"):
            self.tensors[f"{name}.{part}"] = self._random.standard_normal(HIDDEN).astype(np.float32)

    def _linear(self, module: str, inputs: int, outputs: int, kind: str = "MatMul") -> None:
        path = module.replace(".", "/").replace("layer/", "layer.")
        data = self._random.integers(-127, 128, (inputs, outputs)).astype(np.int8)
        scale = 2.0**-8 * (1 + np.arange(outputs) % 3) if self._per_column else 2.0**-8
        name = f"onnx::{len(self.nodes)}"
        self.tensors |= quantised(name, data, scale)
        self.tensors[f"{module}.bias"] = self._random.standard_normal(outputs).astype(np.float32)
        self.nodes[f"/{path}/{kind}_quant"] = f"{name}_quantized"

    def matrix(self, node: str) -> np.ndarray:
        """[out, in], dequantised."""
        name = self.nodes[node].removesuffix("_quantized")
        return (self.tensors[f"{name}_quantized"] * self.tensors[f"{name}_scale"]).T

    def bytes(self, more: bytes = b"") -> bytes:
        """`more`: further fields of the graph."""
        graph = more + b"".join(field(5, tensor(name, data)) for name, data in self.tensors.items())
        for name, weight in self.nodes.items():
            inputs = b"".join(field(1, text) for text in ("x", weight, "z", "w"))
            graph += field(1, inputs + field(2, "y") + field(3, name) + field(4, "MatMulInteger"))
        return field(1, 7) + field(7, graph)

    def write(self, folder: Path) -> tuple[Path, Path]:
        """(model.onnx, vocab.txt)."""
        (folder / "model.onnx").write_bytes(self.bytes())
        (folder / "vocab.txt").write_text("\n".join(TOKENS) + "\n", encoding="utf-8")
        return folder / "model.onnx", folder / "vocab.txt"
