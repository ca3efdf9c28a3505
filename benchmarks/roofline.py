"""The machine's own limits, measured: `python -m benchmarks.roofline [--quick]`.

int8 dot product, bf16 and fp32 multiply-add from registers, and reading of memory, for each instruction
set, on one thread and on all cores that this process may use. A limit is the best of several windows, and
operations count by the threads' own processor time: what a neighbour takes away is no limit of the machine.
"""

from __future__ import annotations

import argparse
import contextlib
import os
from typing import Any

from benchmarks import machine
from sillar import _native

OPERATIONS = {"int8": "TOPS", "bf16": "TFLOPS", "fp32": "TFLOPS", "read": "GB/s"}
ISAS = ("avx2", "avx512")


def probe(isa: str, what: str, cpus: list[int], windows: int, seconds: float) -> dict[str, float]:
    """Best and median of `windows` windows, in 1e12 operations or 1e9 bytes a second."""
    unit = 1e9 if what == "read" else 1e12
    rates = [_native.kernels.probe(isa, what, cpus, seconds) / unit for _ in range(windows)]
    summary = machine.summarize(rates)
    return {"best": max(rates), "median": summary["median"], "spread": summary["spread"]}


def isas() -> list[str]:
    """The instruction sets that this processor runs, the widest last."""
    cpus = sorted(os.sched_getaffinity(0))[:1]
    found = []
    for isa in ISAS:
        with contextlib.suppress(_native.Error):
            _native.kernels.probe(isa, "fp32", cpus, 0.001)
            found.append(isa)
    return found


def limits(windows: int = 7, seconds: float = 0.1) -> dict[str, Any]:
    """{isa: {operation: {"one": rates, "all": rates}}} for what this processor runs, in OPERATIONS' units."""
    cpus = sorted(os.sched_getaffinity(0))
    result: dict[str, Any] = {}
    for isa in isas():
        result[isa] = {}
        for what in OPERATIONS:
            one = probe(isa, what, cpus[:1], windows, seconds)
            if one["best"] > 0:
                result[isa][what] = {"one": one, "all": probe(isa, what, cpus, windows, seconds)}
    return result


def table(result: dict[str, Any]) -> str:
    lines = ["| limit | one thread | all threads | median of all |", "|---|---|---|---|"]
    for isa, operations in result.items():
        for what, rates in operations.items():
            one, everything = rates["one"], rates["all"]
            lines.append(
                f"| {isa} {what}, {OPERATIONS[what]} | {one['best']:.3g} | {everything['best']:.3g}"
                f" | {everything['median']:.3g} |"
            )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="three windows of 50 ms each")
    arguments = parser.parse_args()
    result = limits(3, 0.05) if arguments.quick else limits()
    print(table(result))
    machine.emit("roofline", {"units": OPERATIONS, "limits": result})


if __name__ == "__main__":
    main()
