"""Attention kernels alone: GFLOPS of prefill and GB/s of decode, per KV type and shape.

`python -m benchmarks.attention [--isa avx512] [--threads 2]`: the last line is one JSON object.
FLOPs: 4 x head_dim for each visible (query, key) pair. Bytes: the keys and values that decode must read.
"""

from __future__ import annotations

import argparse

import numpy as np

from benchmarks import machine
from sillar._native import chosen_isas, kernels

Shape = tuple[int, int, int]
SHAPES: dict[str, Shape] = {
    "smollm2-135m": (9, 3, 64),
    "mistral-7b": (32, 8, 128),
}  # query heads, kv heads, head_dim


def prefill(
    shape: tuple[int, int, int], tokens: int, kv_type: str, isa: str, threads: int
) -> dict[str, float]:
    """GFLOPS of the causal attention of `tokens` new tokens."""
    heads, kv_heads, dim = shape
    rng = np.random.default_rng(1)
    k = rng.standard_normal((tokens, kv_heads, dim), np.float32)
    q = rng.standard_normal((tokens, heads, dim), np.float32)
    cache = kernels.KvCache(kv_type, kv_heads, dim, np.arange((tokens + 15) // 16, dtype=np.int32))
    cache.write(isa, 0, k, k)
    flops = 4 * dim * heads * tokens * (tokens + 1) / 2
    repeats = max(1, int(2e10 / flops))
    call = lambda: cache.attend(isa, q, 0, scale=dim**-0.5, threads=threads, repeats=repeats)  # noqa: E731
    return machine.summarize([flops * repeats / s / 1e9 for s in machine.measure(call, repeats=5, warmup=1)])


def decode(
    shape: tuple[int, int, int], tokens: int, kv_type: str, isa: str, threads: int
) -> dict[str, float]:
    """GB/s of one new token after `tokens`; the kv heads are multiplied so that no cache holds them."""
    heads, kv_heads, dim = shape
    copies = int(np.ceil(2.56e8 / (4 * tokens * kv_heads * dim)))
    rng = np.random.default_rng(1)
    cache = kernels.KvCache(kv_type, kv_heads * copies, dim, rng.permutation(tokens // 16).astype(np.int32))
    cache.fill(0x3C)
    q = rng.standard_normal((1, heads * copies, dim), np.float32)
    size = {"f16": 2, "bf16": 2, "int8": 1 + 4 / dim}[kv_type] * 2 * tokens * kv_heads * copies * dim
    call = lambda: cache.attend(isa, q, tokens - 1, scale=dim**-0.5, threads=threads, repeats=4)  # noqa: E731
    return machine.summarize([4 * size / s / 1e9 for s in machine.measure(call, repeats=5, warmup=1)])


def encoder(tokens: int, isa: str) -> dict[str, float]:
    """GFLOPS of e5-small's attention (12 heads of 32), one thread."""
    q = np.random.default_rng(1).standard_normal((tokens, 12, 32)).astype(np.float32)
    flops = 4.0 * 12 * 32 * tokens**2
    repeats = max(1, int(1e10 / flops))
    call = lambda: kernels.encoder_attention(isa, q, q, q, 32**-0.5, repeats)  # noqa: E731
    return machine.summarize([flops * repeats / s / 1e9 for s in machine.measure(call, repeats=5, warmup=1)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--isa", default="")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tokens", type=int, nargs="+", default=[512, 2048, 8192])
    parser.add_argument("--kv", nargs="+", default=["f16", "bf16", "int8"])
    args = parser.parse_args()
    result: dict[str, object] = {"isa": args.isa or chosen_isas()["attention"], "threads": args.threads}
    for name, shape in SHAPES.items():
        for kv_type in args.kv:
            for tokens in args.tokens:
                figure = prefill(shape, tokens, kv_type, args.isa, args.threads)
                machine.log(f"{name} {kv_type} prefill {tokens}: {figure['median']:.0f} GFLOPS")
                result[f"{name} {kv_type} prefill {tokens} GFLOPS"] = figure
            figure = decode(shape, 8192, kv_type, args.isa, args.threads)
            machine.log(f"{name} {kv_type} decode 8192: {figure['median']:.1f} GB/s")
            result[f"{name} {kv_type} decode 8192 GB/s"] = figure
    for tokens in (128, 512):
        figure = encoder(tokens, args.isa)
        machine.log(f"encoder {tokens}: {figure['median']:.0f} GFLOPS a core")
        result[f"encoder {tokens} GFLOPS"] = figure
    machine.emit("attention", result)


if __name__ == "__main__":
    main()
