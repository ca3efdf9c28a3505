"""The shapes of known models, and which weight type each tensor has in a GGUF of a given kind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gguf import GGMLQuantizationType as Type
from gguf import LlamaFileType


@dataclass(frozen=True, slots=True)
class Shape:
    """A llama-shaped decoder. `context` is what its metadata claims; random weights do not mind."""

    layers: int
    dim: int
    ffn: int
    heads: int
    kv_heads: int
    vocab: int = 32000
    rope_base: float = 10000.0
    context: int = 32768

    @property
    def head_dim(self) -> int:
        return self.dim // self.heads


SHAPES = {
    "tiny": Shape(layers=2, dim=256, ffn=512, heads=4, kv_heads=2, vocab=512),
    "tinyllama-1.1b": Shape(layers=22, dim=2048, ffn=5632, heads=32, kv_heads=4),
    "llama-2-7b": Shape(layers=32, dim=4096, ffn=11008, heads=32, kv_heads=32),
    "mistral-7b": Shape(layers=32, dim=4096, ffn=14336, heads=32, kv_heads=8, rope_base=1e6),
    "llama-2-13b": Shape(layers=40, dim=5120, ffn=13824, heads=40, kv_heads=40),
    "internlm2-20b": Shape(layers=48, dim=6144, ffn=16384, heads=48, kv_heads=8, vocab=92544, rope_base=1e6),
}

_BASE = {"Q4_0": Type.Q4_0, "Q4_K_M": Type.Q4_K, "Q5_K_M": Type.Q5_K, "Q6_K": Type.Q6_K, "Q8_0": Type.Q8_0}
KINDS = tuple(_BASE)
FILE_TYPES = {
    "Q4_0": LlamaFileType.MOSTLY_Q4_0,
    "Q4_K_M": LlamaFileType.MOSTLY_Q4_K_M,
    "Q5_K_M": LlamaFileType.MOSTLY_Q5_K_M,
    "Q6_K": LlamaFileType.MOSTLY_Q6_K,
    "Q8_0": LlamaFileType.MOSTLY_Q8_0,
}


def more_bits(layer: int, layers: int) -> bool:
    """Whether the mixtures of kind _M give this layer's value and down projections six bits.

    The first and the last eighth, and every third layer between: llama.cpp's rule.
    """
    eighth = layers // 8
    return layer < eighth or layer >= 7 * layers // 8 or (layer - eighth) % 3 == 2


def tensors(shape: Shape, kind: str) -> Iterator[tuple[str, int, int, Type]]:
    """(name, rows, cols, type) of every tensor in file order; norms have one row."""
    base = _BASE[kind]
    kv = shape.kv_heads * shape.head_dim
    yield "token_embd.weight", shape.vocab, shape.dim, base
    for layer in range(shape.layers):
        mixed = Type.Q6_K if kind.endswith("_M") and more_bits(layer, shape.layers) else base
        prefix = f"blk.{layer}."
        yield prefix + "attn_norm.weight", 1, shape.dim, Type.F32
        yield prefix + "attn_q.weight", shape.dim, shape.dim, base
        yield prefix + "attn_k.weight", kv, shape.dim, base
        yield prefix + "attn_v.weight", kv, shape.dim, mixed
        yield prefix + "attn_output.weight", shape.dim, shape.dim, base
        yield prefix + "ffn_norm.weight", 1, shape.dim, Type.F32
        yield prefix + "ffn_gate.weight", shape.ffn, shape.dim, base
        yield prefix + "ffn_up.weight", shape.ffn, shape.dim, base
        yield prefix + "ffn_down.weight", shape.dim, shape.ffn, mixed
    yield "output_norm.weight", 1, shape.dim, Type.F32
    yield "output.weight", shape.vocab, shape.dim, Type.Q8_0 if kind == "Q8_0" else Type.Q6_K
