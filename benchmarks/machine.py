"""What every benchmark shares: the machine's fingerprint, timing, median and spread, the last JSON line."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

_FLAGS = (
    "avx2",
    "fma",
    "f16c",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "avx512_vbmi",
    "amx_int8",
    "amx_bf16",
)


def fingerprint() -> dict[str, Any]:
    """The processor, its instruction sets, cores this process may use, memory, load and our revision."""
    fields = _cpuinfo()
    flags = set(fields.get("flags", "").split())
    return {
        "cpu": fields.get("model name", platform.processor()),
        "family_model": f"{fields.get('cpu family', '?')}/{fields.get('model', '?')}",
        "isa": [flag for flag in _FLAGS if flag in flags],
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "load_1m": round(os.getloadavg()[0], 2),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "revision": _revision(),
        "time_utc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def measure(call: Callable[[], Any], *, repeats: int = 5, warmup: int = 1) -> list[float]:
    """Seconds of each of `repeats` calls, after `warmup` calls that do not count."""
    for _ in range(warmup):
        call()
    seconds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - begin)
    return seconds


def summarize(samples: Sequence[float]) -> dict[str, float]:
    """Median of the samples, and as spread half the distance between the quartiles over the median."""
    median = statistics.median(samples)
    if len(samples) < 2 or median == 0:
        return {"median": median, "spread": 0.0, "n": len(samples)}
    low, _, high = statistics.quantiles(samples, n=4, method="inclusive")
    return {"median": median, "spread": (high - low) / 2 / median, "n": len(samples)}


def log(message: str) -> None:
    """Progress goes to standard error, so that standard output ends in the JSON."""
    print(message, file=sys.stderr, flush=True)


def emit(name: str, result: Mapping[str, Any]) -> None:
    """Prints the run's last line: one JSON object with the machine's fingerprint."""
    print(json.dumps({"benchmark": name, "machine": fingerprint(), **rounded(dict(result))}), flush=True)


def rounded(value: Any, digits: int = 5) -> Any:
    """`value` with every float in it cut to `digits` significant digits."""
    if isinstance(value, float):
        return float(f"{value:.{digits}g}")
    if isinstance(value, Mapping):
        return {key: rounded(item, digits) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(item, digits) for item in value]
    return value


def _cpuinfo() -> dict[str, str]:
    fields: dict[str, str] = {}
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, text = line.partition(":")
        fields.setdefault(key.strip(), text.strip())
    return fields


def _revision() -> str:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
