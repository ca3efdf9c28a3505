"""Decode against the read bandwidth of the same seconds: `python -m benchmarks.decode_bandwidth MODEL...`.

A shared host's memory speed changes from second to second, so a limit measured once says little. Here a few
tokens and a window of the read probe alternate, and a round's share is the bytes that its tokens read in a
second (matrices and cache) over the mean of the windows before and after. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import os
import statistics
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks import machine, roofline
from benchmarks.make_model import find_model
from benchmarks.peer_sillar import Sillar
from benchmarks.report import model_spec
from benchmarks.workloads import Workloads
from sillar import _native

CONTEXT = 64
WINDOW_SECONDS = 0.1
ROUND_SECONDS = 0.4


def read_gbps(isa: str) -> float:
    """GB/s that all CPUs of this process read together."""
    cpus = sorted(os.sched_getaffinity(0))
    return _native.kernels.probe(isa, "read", cpus, WINDOW_SECONDS) / 1e9


def measure(path: Path, threads: int, rounds: int) -> dict[str, Any]:
    """Tokens a second, GB/s of decoding and of the probe, and the share: median and spread of the rounds."""
    work = Workloads(Sillar())
    work.load(str(path), threads, room=1024, keep_packed=False)
    work.reserve([2 * CONTEXT])
    work.fill([0], CONTEXT)
    gigabytes = model_spec(path).decode_bytes(CONTEXT) / 1e9
    tokens = max(1, round(ROUND_SECONDS / min(work.decode(1, CONTEXT, 4))))
    isa = roofline.isas()[-1]
    probes, rates = [read_gbps(isa)], []
    for _ in range(rounds):
        rates.append(1 / statistics.median(work.decode(1, CONTEXT, tokens)))
        probes.append(read_gbps(isa))
    work.subject.unload()
    shares = [
        rate * gigabytes / statistics.mean(around)
        for rate, around in zip(rates, pairwise(probes), strict=True)
    ]
    return {
        "model": path.name,
        "gigabytes": gigabytes,
        "tokens_per_second": machine.summarize(rates),
        "decode_gbps": machine.summarize([rate * gigabytes for rate in rates]),
        "probe_gbps": machine.summarize(probes),
        "share": machine.summarize(shares),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="+", help="paths, catalogue names or SHAPE:KIND")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=25)
    arguments = parser.parse_args()
    results = []
    for path in map(find_model, arguments.models):
        results.append(result := measure(path, arguments.threads, arguments.rounds))
        machine.log(
            f"{path.name}: {result['tokens_per_second']['median']:.3g} tokens/s,"
            f" {result['decode_gbps']['median']:.3g} GB/s of {result['probe_gbps']['median']:.3g}:"
            f" share {result['share']['median']:.0%} ±{result['share']['spread']:.0%}"
        )
    machine.emit("decode_bandwidth", {"threads": arguments.threads, "results": results})


if __name__ == "__main__":
    main()
