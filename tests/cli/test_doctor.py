"""The report says what was found, in JSON and to a person."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sillar import doctor

CPU: dict[str, Any] = {
    "name": "Some CPU",
    **{name: name.startswith("avx") for name in doctor._FEATURES},
    **{"l1d_bytes": 48 << 10, "l2_bytes": 1 << 20, "l3_bytes": 32 << 20},
    **{"allowed": [0, 1, 2, 3], "physical": [0, 2], "quota": 1.5, "numa_nodes": 1},
    **{"threads": 1, "threads_reason": "the quota of 1.5 CPUs, rounded down"},
    "isas": {"reference": ["matmul"], "avx512": ["matmul"], "amx": []},
}
CHOSEN = {"matmul": "avx512", "attention": "avx512", "vector": "avx2"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text("MemTotal:  8000000 kB\nMemAvailable:  6000000 kB\n")
    (tmp_path / "proc/self/cgroup").write_text("0::/work.slice/job\n")
    (tmp_path / "sys/fs/cgroup/work.slice/job").mkdir(parents=True)
    (tmp_path / "sys/fs/cgroup/work.slice/job/memory.max").write_text("max\n")
    (tmp_path / "sys/fs/cgroup/work.slice/memory.max").write_text("2000000000\n")
    return tmp_path


def test_report(root: Path) -> None:
    (root / "cache").mkdir()
    (root / "cache/model").write_bytes(b"x" * 1000)
    found = doctor.report(CPU, CHOSEN, root / "cache", root)
    assert found["processor"]["features"] == ["avx2", "avx512", "avx512_vnni", "avx512_bf16", "avx512_vbmi"]
    assert found["kernels"]["available"] == {"reference": ["matmul"], "avx512": ["matmul"]}
    assert found["kernels"]["weights"]["q4_k"] == "avx512"
    assert found["memory"] == {"total": 8_192_000_000, "available": 6_144_000_000, "limit": 2_000_000_000}
    assert found["disk"]["used"] == 1000


def test_lines_say_why(root: Path) -> None:
    text = dict(doctor.lines(doctor.report(CPU, CHOSEN, root / "absent/cache", root)))
    assert text["threads"] == "1: the quota of 1.5 CPUs, rounded down"
    assert text["cores"] == "2 usable (4 hardware threads), 1 NUMA node(s)"
    assert text["weights on avx512"].startswith("f32, f16")
    assert text["memory"] == "5.7 GiB free of 7.6 GiB, 1.9 GiB allowed"
    assert "0 KiB used" in text["model cache"]
