"""What this machine is to Sillar, and why it makes the choices that it makes: `sillar doctor`."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

WEIGHT_TYPES = (
    *("f32", "f16", "bf16", "q4_0", "q4_1", "q5_0", "q5_1", "q8_0"),
    *("q2_k", "q3_k", "q4_k", "q5_k", "q6_k"),
)
_FEATURES = ("avx2", "avx512", "avx512_vnni", "avx512_bf16", "avx512_vbmi", "amx_int8", "amx_bf16")


def report(
    cpu: Mapping[str, Any], chosen: Mapping[str, str], cache: Path, root: Path = Path("/")
) -> dict[str, Any]:
    """Everything in one JSON object; sizes in bytes.

    `cpu` is what the native side found, `chosen` its {operation: instruction set}; `root` is where /proc
    and /sys are read from.
    """
    return {
        "processor": {
            "name": cpu["name"],
            "features": [name for name in _FEATURES if cpu[name]],
            "caches": {level: cpu[f"{level}_bytes"] for level in ("l1d", "l2", "l3")},
            "cores": len(cpu["physical"]),
            "hardware_threads": len(cpu["allowed"]),
            "numa_nodes": cpu["numa_nodes"],
        },
        "kernels": {
            "available": {isa: list(operations) for isa, operations in cpu["isas"].items() if operations},
            "chosen": dict(chosen),
            "weights": dict.fromkeys(WEIGHT_TYPES, chosen["matmul"]),
        },
        "threads": {
            "count": cpu["threads"],
            "why": cpu["threads_reason"],
            "allowed_cpus": list(cpu["allowed"]),
            "quota_cpus": cpu["quota"] or None,
        },
        "memory": _memory(root),
        "disk": _disk(cache),
    }


def lines(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The report as (subject, what a person reads)."""
    processor, kernels, threads, memory, disk = (
        found[part] for part in ("processor", "kernels", "threads", "memory", "disk")
    )
    caches = ", ".join(
        f"{level.upper()} {_size(size)}" for level, size in processor["caches"].items() if size
    )
    by_isa: dict[str, list[str]] = {}
    for name, isa in kernels["weights"].items():
        by_isa.setdefault(isa, []).append(name)
    chosen = ", ".join(f"{operation} {isa}" for operation, isa in kernels["chosen"].items())
    limit = f", {_size(memory['limit'])} allowed" if memory["limit"] else ""
    smt = processor["hardware_threads"]
    quota = f"{threads['quota_cpus']:g} CPUs" if threads["quota_cpus"] else "none"
    return [
        ("processor", processor["name"]),
        (
            "cores",
            f"{processor['cores']} usable ({smt} hardware threads), {processor['numa_nodes']} NUMA node(s)",
        ),
        ("caches", caches),
        ("features", ", ".join(processor["features"]) or "none that matter here"),
        ("kernels here", ", ".join(kernels["available"])),
        ("kernels used", chosen),
        *((f"weights on {isa}", ", ".join(names)) for isa, names in by_isa.items()),
        ("threads", f"{threads['count']}: {threads['why']}"),
        ("CPU quota", quota),
        ("memory", f"{_size(memory['available'])} free of {_size(memory['total'])}{limit}"),
        ("model cache", f"{disk['folder']}: {_size(disk['used'])} used, {_size(disk['free'])} free"),
    ]


def _memory(root: Path) -> dict[str, int | None]:
    fields = {}
    for line in (root / "proc/meminfo").read_text().splitlines():
        name, _, amount = line.partition(":")
        fields[name] = int(amount.split()[0]) * 1024
    total, available = fields["MemTotal"], fields["MemAvailable"]
    limit = _cgroup_limit(root)
    return {"total": total, "available": available, "limit": limit if limit and limit < total else None}


def _cgroup_limit(root: Path) -> int | None:
    """The smallest memory limit of the process's control groups (v2, then v1)."""
    folders = [root / "sys/fs/cgroup"]
    try:
        own = (root / "proc/self/cgroup").read_text()
    except OSError:
        own = ""
    for line in own.splitlines():
        path = Path(line.rpartition(":")[2].lstrip("/"))
        folders += [root / "sys/fs/cgroup" / folder for folder in (path, *path.parents)]
    limits = []
    for file in [folder / "memory.max" for folder in folders] + [
        root / "sys/fs/cgroup/memory/memory.limit_in_bytes"
    ]:
        try:
            limits.append(int(file.read_text()))
        except (OSError, ValueError):
            continue
    return min(limits, default=None)


def _disk(cache: Path) -> dict[str, Any]:
    existing = next(folder for folder in (cache, *cache.parents) if folder.exists())
    used = sum(file.stat().st_size for file in cache.rglob("*") if file.is_file()) if cache.exists() else 0
    return {"folder": str(cache), "used": used, "free": shutil.disk_usage(existing).free}


def _size(count: int) -> str:
    for power, unit in ((30, "GiB"), (20, "MiB")):
        if count >= 1 << power:
            return f"{count / (1 << power):.1f} {unit}"
    return f"{count / 1024:.0f} KiB"
