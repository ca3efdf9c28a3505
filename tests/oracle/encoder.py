"""BERT in numpy, fp32: post-norm, exact GELU, learned positions; pooled to a unit vector or to a score."""

from __future__ import annotations

from math import erf
from pathlib import Path

import numpy as np

from tests.oracle.weights import Floats, Weights, softmax

_erf = np.vectorize(erf, otypes=[np.float64])


class Bert:
    def __init__(self, path: Path, *, as_engine: bool = False) -> None:
        w = self.w = Weights(path, as_engine=as_engine)
        self.layers = w.key("block_count")
        self.heads = w.key("attention.head_count")
        self.eps = np.float32(w.key("attention.layer_norm_epsilon"))
        self.pooling = w.key("pooling_type", 1)

    def embed(self, tokens: list[int]) -> Floats:
        """[dim], unit length."""
        x = self._hidden(tokens, [0] * len(tokens))
        pooled = x.mean(axis=0) if self.pooling == 1 else x[0]
        return np.asarray(pooled / np.linalg.norm(pooled), dtype=np.float32)

    def score(self, tokens: list[int], first: int) -> float:
        """Of a pair: the first tokens are of type 0, the rest of type 1."""
        x = self._hidden(tokens, [0] * first + [1] * (len(tokens) - first))
        pooled = np.tanh(self.w.product(x[:1], "cls"))
        return float(pooled[0] @ self.w.get("cls.output.weight").ravel() + self.w.get("cls.output.bias")[0])

    def _hidden(self, tokens: list[int], types: list[int]) -> Floats:
        """The last layer, [tokens, dim]."""
        x = self.w.rows("token_embd.weight", tokens) + self.w.get("position_embd.weight")[: len(tokens)]
        x = self._norm(x + self.w.get("token_types.weight")[types], "token_embd_norm")
        for i in range(self.layers):
            p = f"blk.{i}."
            x = self._norm(x + self._attention(x, p), p + "attn_output_norm")
            h = self.w.product(x, p + "ffn_up")
            h = (h * 0.5 * (1 + _erf(h / np.sqrt(2)))).astype(np.float32)
            x = self._norm(x + self.w.product(h, p + "ffn_down"), p + "layer_output_norm")
        return x

    def _attention(self, x: Floats, p: str) -> Floats:
        n = len(x)
        q, k, v = (
            self.w.product(x, p + f"attn_{name}").reshape(n, self.heads, -1) for name in ("q", "k", "v")
        )
        weights = softmax(np.einsum("qhd,khd->hqk", q, k) / np.float32(np.sqrt(q.shape[-1])))
        out = np.einsum("hqk,khd->qhd", weights, v).reshape(n, -1).astype(np.float32)
        return self.w.product(out, p + "attn_output")

    def _norm(self, x: Floats, name: str) -> Floats:
        centred = x - x.mean(axis=-1, keepdims=True)
        scaled = centred / np.sqrt(np.mean(centred * centred, axis=-1, keepdims=True) + self.eps)
        return np.asarray(
            scaled * self.w.get(f"{name}.weight") + self.w.get(f"{name}.bias"), dtype=np.float32
        )
