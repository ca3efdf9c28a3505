"""Matrix products alone: `python -m benchmarks.kernels [--isa avx512] [--types q4_0] [--shapes mistral]`.

Prefill (512 tokens), batched decode (16) and decode (1) per weight type and shape, on one thread and on all
cores: GOPS (two a multiply-add), the share of the measured int8 peak, the packed bytes read a second and
their share of the measured read bandwidth. All are of the median repeat; `best` is the best repeat's share
of the peak: on a machine with neighbours it says more of the kernel. The last line is one JSON object: keep
one before a change to a kernel and one after it.
"""

from __future__ import annotations

import argparse
import os
from typing import Any

import gguf
import numpy as np

from benchmarks import machine, random_blocks
from sillar import _native

TYPES = ("q4_0", "q4_1", "q4_k", "q5_k", "q6_k", "q8_0", "f16")
SHAPES = {"mistral": (14336, 4096), "smollm2_up": (1536, 576), "smollm2_square": (576, 576)}
TOKENS = (512, 16, 1)
CACHES = 256 << 20
"""Bytes that a decode of a large matrix goes through, so that no cache holds them."""


def packed_weights(name: str, rows: int, cols: int) -> _native.kernels.Weights:
    """A packed matrix of random blocks; the same few MiB of blocks again and again."""
    kind = gguf.GGMLQuantizationType[name.upper()]
    block, block_bytes = gguf.GGML_QUANT_SIZES[kind]
    if name in {"f32", "f16", "bf16"}:
        values = np.random.default_rng(0).standard_normal((rows, cols), np.float32)
        data = gguf.quants.quantize(values, kind).view(np.uint8).reshape(rows, -1)
    elif kind == gguf.GGMLQuantizationType.Q4_1:
        values = np.random.default_rng(0).standard_normal((64, cols), np.float32)
        data = np.resize(gguf.quants.quantize(values, kind), (rows, cols // block * block_bytes))
    else:
        data = np.resize(random_blocks.pool(kind, cols, 0), (rows, cols // block * block_bytes))
    return _native.kernels.Weights(int(kind), data, cols)


def product(
    weights: _native.kernels.Weights, shape: tuple[int, int], tokens: int, isa: str, threads: int
) -> dict[str, float]:
    """Seconds, GOPS and GB/s of one product, the median of several."""
    operations = 2.0 * shape[0] * shape[1] * tokens
    repeats = int(np.clip(2e10 / operations, 5, 200))
    x = np.random.default_rng(1).standard_normal((tokens, shape[1]), np.float32)
    seconds = weights.time(isa, x, threads, repeats)
    timed = machine.summarize(seconds)
    return {
        "seconds": timed["median"],
        "spread": timed["spread"],
        "best_gops": operations / min(seconds) / 1e9,
        "gops": operations / timed["median"] / 1e9,
        "gbps": weights.packed_bytes / timed["median"] / 1e9,
    }


def limits(isa: str, cpus: list[int]) -> dict[str, float]:
    """Giga-operations (int8) and gigabytes (read) a second, the best of five windows."""
    best = {
        what: max(_native.kernels.probe(isa, what, cpus, 0.1) for _ in range(5)) for what in ("int8", "read")
    }
    return {what: rate / 1e9 for what, rate in best.items()}


def sweep(isa: str, names: list[str], shapes: list[str]) -> list[dict[str, Any]]:
    cpus = sorted(os.sched_getaffinity(0))
    peaks = {len(some): limits(isa, some) for some in (cpus[:1], cpus)}
    rows = []
    for name in names:
        for shape in shapes:
            height, cols = SHAPES[shape]
            if cols % gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[name.upper()]][0]:
                continue  # k-quants of a narrow model: not a file that exists
            weights = packed_weights(name, height, cols)
            copies = CACHES // weights.packed_bytes + 1
            long_weights = packed_weights(name, height * copies, cols) if shape == "mistral" else weights
            for tokens in TOKENS:
                used = long_weights if tokens == 1 else weights
                size = (height * (copies if used is not weights else 1), cols)
                for threads, peak in peaks.items():
                    result = product(used, size, tokens, isa, threads)
                    result |= {
                        "best": result.pop("best_gops") / peak["int8"],
                        "of_peak": result["gops"] / peak["int8"],
                        "of_read": result["gbps"] / peak["read"],
                    }
                    rows.append(
                        {"type": name, "shape": shape, "tokens": tokens, "threads": threads, **result}
                    )
                    machine.log(line(rows[-1]))
    return rows


def line(row: dict[str, Any]) -> str:
    return (
        f"{row['type']:5} {row['shape']:15} {row['tokens']:4} tokens, {row['threads']} threads:"
        f" {row['gops']:6.0f} GOPS ({row['of_peak']:.0%} of int8 peak, best {row['best']:.0%}),"
        f" {row['gbps']:5.1f} GB/s ({row['of_read']:.0%} of read), spread {row['spread']:.0%}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--isa", default="avx512")
    parser.add_argument("--types", default=",".join(TYPES))
    parser.add_argument("--shapes", default=",".join(SHAPES))
    arguments = parser.parse_args()
    rows = sweep(arguments.isa, arguments.types.split(","), arguments.shapes.split(","))
    machine.emit("kernels", {"isa": arguments.isa, "products": rows})


if __name__ == "__main__":
    main()
