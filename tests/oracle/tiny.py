"""Writes tiny random models of every architecture and weight type."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from tests.oracle.blocks import random_tensor


@dataclass(frozen=True)
class Tiny:
    """A tiny model's shape. The default is a Llama with grouped heads and its own output matrix."""

    architecture: str = "llama"
    weights: str = "F32"
    layers: int = 2
    hidden: int = 256
    ffn: int = 512
    heads: int = 4
    kv_heads: int = 2
    head_dim: int = 64
    vocab: int = 320
    context: int = 4096
    tied: bool = False
    biases: bool = False
    qk_norm: bool = False
    window: int = 0
    rope_base: float = 10000.0
    rope_factors: bool = False
    """Llama 3's rope_freqs.weight"""
    rope_scaling: dict[str, Any] = field(default_factory=dict)
    mixed: dict[str, str] = field(default_factory=dict)
    """weight type of tensors by a part of their name"""
    pooling: int = 1
    seed: int = 0


LLAMA3 = Tiny(rope_base=500000.0, rope_factors=True)
LINEAR = Tiny(rope_scaling={"type": "linear", "factor": 4.0})
YARN = Tiny(rope_scaling={"type": "yarn", "factor": 4.0, "original_context_length": 64}, rope_base=1e6)
MISTRAL = Tiny(window=40)
QWEN2 = Tiny("qwen2", biases=True, tied=True)
QWEN3 = Tiny("qwen3", head_dim=96, kv_heads=4, qk_norm=True)
BERT = Tiny("bert", biases=True, kv_heads=4, context=128)
DECODERS = {
    "llama": Tiny(), "llama3": LLAMA3, "linear": LINEAR, "yarn": YARN, "mistral": MISTRAL, "qwen2": QWEN2,
    "qwen3": QWEN3, "tied": Tiny(tied=True), "one kv head": Tiny(kv_heads=1), "no grouping": Tiny(kv_heads=4),
    "odd vocabulary": Tiny(vocab=331),
}  # fmt: skip


def with_weights(model: Tiny, kind: str) -> Tiny:
    return replace(model, weights=kind)


def write(path: Path, model: Tiny) -> Path:
    """Writes the model's file and returns its path."""
    writer = gguf.GGUFWriter(path, model.architecture)
    _metadata(writer, model)
    tensors = _Tensors(writer, model)
    if model.architecture == "bert":
        _encoder_tensors(tensors, model)
    else:
        _decoder_tensors(tensors, model)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _metadata(writer: gguf.GGUFWriter, m: Tiny) -> None:
    writer.add_name("tiny")
    writer.add_block_count(m.layers)
    writer.add_embedding_length(m.hidden)
    writer.add_feed_forward_length(m.ffn)
    writer.add_head_count(m.heads)
    writer.add_context_length(m.context)
    if m.architecture == "bert":
        writer.add_layer_norm_eps(1e-12)
        writer.add_uint32("bert.pooling_type", m.pooling)
        return
    writer.add_head_count_kv(m.kv_heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(m.rope_base)
    if m.head_dim * m.heads != m.hidden:
        writer.add_key_length(m.head_dim)
        writer.add_value_length(m.head_dim)
    if m.window:
        writer.add_sliding_window(m.window)
    if m.rope_scaling:
        writer.add_string(f"{m.architecture}.rope.scaling.type", m.rope_scaling["type"])
        writer.add_float32(f"{m.architecture}.rope.scaling.factor", m.rope_scaling["factor"])
        if "original_context_length" in m.rope_scaling:
            writer.add_uint32(
                f"{m.architecture}.rope.scaling.original_context_length",
                m.rope_scaling["original_context_length"],
            )


class _Tensors:
    """Adds random tensors to a file."""

    def __init__(self, writer: gguf.GGUFWriter, model: Tiny) -> None:
        self._writer = writer
        self._model = model
        self._rng = np.random.default_rng(model.seed)

    def matrix(self, name: str, rows: int, cols: int, deviation: float = 0.0) -> None:
        kind = next((k for part, k in self._model.mixed.items() if part in name), self._model.weights)
        data, quantisation = random_tensor(self._rng, rows, cols, kind, deviation or cols**-0.5)
        self._writer.add_tensor(name, data, raw_dtype=quantisation)

    def vector(self, name: str, n: int, mean: float = 0.0) -> None:
        self._writer.add_tensor(name, (mean + 0.1 * self._rng.standard_normal(n)).astype(np.float32))

    def linear(self, stem: str, rows: int, cols: int, bias: bool) -> None:
        self.matrix(f"{stem}.weight", rows, cols)
        if bias:
            self.vector(f"{stem}.bias", rows)


def _decoder_tensors(t: _Tensors, m: Tiny) -> None:
    t.matrix("token_embd.weight", m.vocab, m.hidden, 1.0)
    q_dim, kv_dim = m.heads * m.head_dim, m.kv_heads * m.head_dim
    for i in range(m.layers):
        p = f"blk.{i}."
        t.vector(p + "attn_norm.weight", m.hidden, 1.0)
        for name, rows in (("q", q_dim), ("k", kv_dim), ("v", kv_dim)):
            t.linear(p + f"attn_{name}", rows, m.hidden, m.biases)
        t.matrix(p + "attn_output.weight", m.hidden, q_dim)
        if m.qk_norm:
            t.vector(p + "attn_q_norm.weight", m.head_dim, 1.0)
            t.vector(p + "attn_k_norm.weight", m.head_dim, 1.0)
        t.vector(p + "ffn_norm.weight", m.hidden, 1.0)
        t.matrix(p + "ffn_gate.weight", m.ffn, m.hidden)
        t.matrix(p + "ffn_up.weight", m.ffn, m.hidden)
        t.matrix(p + "ffn_down.weight", m.hidden, m.ffn)
    t.vector("output_norm.weight", m.hidden, 1.0)
    if not m.tied:
        t.matrix("output.weight", m.vocab, m.hidden)
    if m.rope_factors:
        t.vector("rope_freqs.weight", m.head_dim // 2, 4.0)


def _encoder_tensors(t: _Tensors, m: Tiny) -> None:
    t.matrix("token_embd.weight", m.vocab, m.hidden, 1.0)
    t.matrix("position_embd.weight", m.context, m.hidden, 0.3)
    t.matrix("token_types.weight", 2, m.hidden, 0.1)
    for part, mean in (("weight", 1.0), ("bias", 0.0)):
        t.vector(f"token_embd_norm.{part}", m.hidden, mean)
    for i in range(m.layers):
        p = f"blk.{i}."
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            t.linear(p + name, m.hidden, m.hidden, True)
        t.linear(p + "ffn_up", m.ffn, m.hidden, True)
        t.linear(p + "ffn_down", m.hidden, m.ffn, True)
        for name in ("attn_output_norm", "layer_output_norm"):
            t.vector(p + f"{name}.weight", m.hidden, 1.0)
            t.vector(p + f"{name}.bias", m.hidden)
    if m.pooling == 4:
        t.linear("cls", m.hidden, m.hidden, True)
        t.vector("cls.output.weight", m.hidden)
        t.vector("cls.output.bias", 1)
