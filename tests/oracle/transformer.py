"""The decoder family in numpy, fp32: Llama, Mistral, Qwen2, Qwen3. Slow and short; shares nothing with the
engine.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.oracle.weights import Floats, Weights, softmax


class Transformer:
    def __init__(self, path: Path, *, as_engine: bool = False) -> None:
        w = self.w = Weights(path, as_engine=as_engine)
        self.layers = w.key("block_count")
        self.heads = w.key("attention.head_count")
        self.kv_heads = w.key("attention.head_count_kv", self.heads)
        self.head_dim = w.key("attention.key_length", w.key("embedding_length") // self.heads)
        self.window = w.key("attention.sliding_window", 0) if w.architecture == "llama" else 0
        self.eps = np.float32(w.key("attention.layer_norm_rms_epsilon"))
        self.frequencies, self.magnitude = self._frequencies()

    def logits(self, tokens: list[int]) -> Floats:
        """[tokens, vocab]"""
        x = self.w.rows("token_embd.weight", tokens)
        for i in range(self.layers):
            p = f"blk.{i}."
            x = x + self._attention(self._norm(x, p + "attn_norm"), p)
            h = self._norm(x, p + "ffn_norm")
            gate = self.w.product(h, p + "ffn_gate")
            h = gate / (1 + np.exp(-gate)) * self.w.product(h, p + "ffn_up")
            x = x + self.w.product(h, p + "ffn_down")
        x = self._norm(x, "output_norm")
        return self.w.product(
            x, "output", "output.weight" if self.w.has("output.weight") else "token_embd.weight"
        )

    def _norm(self, x: Floats, name: str) -> Floats:
        mean = np.mean(x * x, axis=-1, keepdims=True, dtype=np.float32)
        return np.asarray(x / np.sqrt(mean + self.eps) * self.w.get(f"{name}.weight"), dtype=np.float32)

    def _attention(self, x: Floats, p: str) -> Floats:
        n = len(x)
        q, k, v = (
            self.w.product(x, p + f"attn_{name}").reshape(n, -1, self.head_dim) for name in ("q", "k", "v")
        )
        if self.w.has(p + "attn_q_norm.weight"):
            q, k = self._norm(q, p + "attn_q_norm"), self._norm(k, p + "attn_k_norm")
        q, k = self._rotate(q), self._rotate(k)
        if self.w.as_engine:
            k, v = (y.astype(np.float16).astype(np.float32) for y in (k, v))
        group = self.heads // self.kv_heads
        k, v = np.repeat(k, group, axis=1), np.repeat(v, group, axis=1)
        scores = np.einsum("qhd,khd->hqk", q, k) * np.float32(self.head_dim**-0.5)
        distance = np.arange(n)[:, None] - np.arange(n)[None, :]
        hidden = (distance < 0) | ((distance >= self.window) if self.window else False)
        scores = np.where(hidden, np.float32(-1e30), scores)
        out = np.einsum("hqk,khd->qhd", softmax(scores), v).reshape(n, -1)
        return self.w.product(out.astype(np.float32), p + "attn_output")

    def _rotate(self, x: Floats) -> Floats:
        angle = np.arange(len(x))[:, None] * self.frequencies[None, :]
        cos = (np.cos(angle) * self.magnitude).astype(np.float32)[:, None, :]
        sin = (np.sin(angle) * self.magnitude).astype(np.float32)[:, None, :]
        out = x.copy()
        if self.w.architecture == "llama":  # the file has the pairs side by side
            a, b = x[..., 0::2], x[..., 1::2]
            out[..., 0::2], out[..., 1::2] = a * cos - b * sin, a * sin + b * cos
        else:
            half = x.shape[-1] // 2
            a, b = x[..., :half], x[..., half:]
            out[..., :half], out[..., half:] = a * cos - b * sin, a * sin + b * cos
        return out

    def _frequencies(self) -> tuple[np.ndarray, float]:
        base, dim = float(self.w.key("rope.freq_base", 10000.0)), self.head_dim
        f = base ** (-np.arange(0, dim, 2, dtype=np.float64) / dim)
        if self.w.has("rope_freqs.weight"):
            f = f / self.w.get("rope_freqs.weight").astype(np.float64)
        kind, factor = self.w.key("rope.scaling.type"), float(self.w.key("rope.scaling.factor", 1.0))
        if kind == "linear":
            return f / factor, 1.0
        if kind != "yarn":
            return f, 1.0
        # Peng et al. 2023, section 3.2: wavelengths against the original context.
        context = self.w.key("rope.scaling.original_context_length")
        low, high = (
            bound(dim * np.log(context / (turns * 2 * np.pi)) / (2 * np.log(base)))
            for bound, turns in ((np.floor, 32), (np.ceil, 1))
        )
        low, high = max(low, 0), min(high, dim - 1)
        keep = 1 - np.clip((np.arange(dim // 2) - low) / max(high - low, 0.001), 0, 1)
        return f / factor * (1 - keep) + f * keep, 1 + 0.1 * np.log(factor)
