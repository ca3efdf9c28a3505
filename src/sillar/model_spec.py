"""The arithmetic of a model: weight bytes, KV cache bytes a token, FLOPs a token.

From a GGUF's metadata and its list of tensors alone: nothing is loaded, no extension is needed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sillar.errors import ModelFormatError

GGML_TYPES: Mapping[str, tuple[int, int]] = {
    "F32": (1, 4),
    "F16": (1, 2),
    "BF16": (1, 2),
    "Q4_0": (32, 18),
    "Q4_1": (32, 20),
    "Q5_0": (32, 22),
    "Q5_1": (32, 24),
    "Q8_0": (32, 34),
    "Q2_K": (256, 84),
    "Q3_K": (256, 110),
    "Q4_K": (256, 144),
    "Q5_K": (256, 176),
    "Q6_K": (256, 210),
}
"""Weights in a block of a type, and the bytes of that block in the file. Source: the GGUF specification."""

_KV_BYTES: Mapping[str, float] = {"f16": 2, "bf16": 2, "int8": 1 + 4 / 64}
"""Bytes of one cached value; int8 keeps a float scale for about each 64 of them."""


def weight_bytes(weights: int, type_name: str) -> int:
    """Bytes of so many weights in a GGUF type. Raises ModelFormatError for an unknown type."""
    if type_name not in GGML_TYPES:
        raise ModelFormatError(f"unknown weight type {type_name}; known: {', '.join(GGML_TYPES)}")
    block, size = GGML_TYPES[type_name]
    return -(-weights // block) * size


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One tensor of a file."""

    name: str
    shape: tuple[int, ...]
    type: str

    @property
    def weights(self) -> int:
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        return weight_bytes(self.weights, self.type)


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """The figures of one model that sizes and costs follow from."""

    name: str
    architecture: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    value_dim: int
    context_length: int
    vocab_size: int
    parameters: int
    file_bytes: int
    """Of all tensors, as they lie in the file."""
    matrix_weights: int
    """Weights that every token is multiplied with: no embedding look-up, but the output matrix."""
    matrix_bytes: int
    """Bytes that decoding one token reads: those weights."""
    causal: bool

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any], tensors: Iterable[TensorInfo]) -> ModelSpec:
        """Reads the shape from GGUF keys. Raises ModelFormatError where one is missing or no number."""
        tensors = list(tensors)
        architecture = str(metadata.get("general.architecture", ""))
        if not architecture:
            raise ModelFormatError("the file does not name its architecture")
        read = _Reader(metadata, architecture)
        heads = read.number("attention.head_count")
        hidden = read.number("embedding_length")
        head_dim = read.number("attention.key_length", hidden // heads)
        matrices = _matrices(tensors)
        return cls(
            name=str(metadata.get("general.name", architecture)),
            architecture=architecture,
            layers=read.number("block_count"),
            hidden=hidden,
            heads=heads,
            kv_heads=read.number("attention.head_count_kv", heads),
            head_dim=head_dim,
            value_dim=read.number("attention.value_length", head_dim),
            context_length=read.number("context_length"),
            vocab_size=_vocab_size(metadata, tensors),
            parameters=sum(tensor.weights for tensor in tensors),
            file_bytes=sum(tensor.bytes for tensor in tensors),
            matrix_weights=sum(tensor.weights for tensor in matrices),
            matrix_bytes=sum(tensor.bytes for tensor in matrices),
            causal=bool(metadata.get(f"{architecture}.attention.causal", True)),
        )

    def kv_bytes_per_token(self, kv_type: str = "f16") -> int:
        """Bytes of the KV cache that one token takes, over all layers."""
        if kv_type not in _KV_BYTES:
            raise ModelFormatError(f"unknown KV type {kv_type}; known: {', '.join(_KV_BYTES)}")
        values = self.layers * self.kv_heads * (self.head_dim + self.value_dim)
        return math.ceil(values * _KV_BYTES[kv_type])

    def kv_bytes(self, tokens: int, kv_type: str = "f16") -> int:
        """Bytes of the KV cache for so many tokens."""
        return tokens * self.kv_bytes_per_token(kv_type)

    def flops_per_token(self, context: int = 0) -> int:
        """Floating-point operations of one token that attends to `context` others: 2 a multiply-add."""
        attention = self.layers * self.heads * (self.head_dim + self.value_dim) * context
        return 2 * (self.matrix_weights + attention)

    def prefill_flops(self, tokens: int, past: int = 0) -> int:
        """Of `tokens` prompt tokens after `past` cached ones (causal: each sees half of them, on average)."""
        seen = past + (tokens - 1) // 2 if self.causal else past + tokens
        return tokens * self.flops_per_token(seen)

    def decode_bytes(self, context: int, sequences: int = 1, kv_type: str = "f16") -> int:
        """Bytes that one decoding step reads: the matrices once, and every sequence's cache."""
        return self.matrix_bytes + sequences * self.kv_bytes(context, kv_type)


class _Reader:
    """Whole numbers of one architecture's keys."""

    def __init__(self, metadata: Mapping[str, Any], architecture: str) -> None:
        self._metadata = metadata
        self._architecture = architecture

    def number(self, key: str, default: int | None = None) -> int:
        value = self._metadata.get(f"{self._architecture}.{key}", default)
        if isinstance(value, (list, tuple)) and value:  # one a layer: the largest decides memory
            value = max(value)
        if not isinstance(value, int) or value <= 0:
            raise ModelFormatError(f"{self._architecture}.{key} is {value!r}, not a positive number")
        return value


def _matrices(tensors: list[TensorInfo]) -> list[TensorInfo]:
    """What a token is multiplied with. A tied embedding counts once: as the output matrix."""
    names = {tensor.name for tensor in tensors}
    tied = "output.weight" not in names and "output_norm.weight" in names
    lookups = {"token_embd.weight", "position_embd.weight", "token_types.weight"}
    if tied:
        lookups.discard("token_embd.weight")
    return [tensor for tensor in tensors if len(tensor.shape) > 1 and tensor.name not in lookups]


def _vocab_size(metadata: Mapping[str, Any], tensors: list[TensorInfo]) -> int:
    tokens = metadata.get("tokenizer.ggml.tokens")
    if tokens:
        return len(tokens)
    # GGUF shapes list the fastest dimension first: an embedding is [hidden, vocabulary].
    return next((tensor.shape[-1] for tensor in tensors if tensor.name == "token_embd.weight"), 0)
