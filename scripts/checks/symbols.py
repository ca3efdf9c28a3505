"""An instruction-set file exports one symbol and nothing that a linker could hand to other code.

A weak function (an inline one, a std template) compiled with AVX-512 flags may be the copy that the
linker keeps for the whole program, and then crash on a processor without it; a static initialiser
would run before the processor was asked.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from scripts.checks import Findings

ISA_STEMS = ("avx2", "avx512", "avx512vnni", "amx")
_UNDEFINED = {"U", "w", "v"}


def check(root: Path) -> Findings:
    findings = Findings()
    objects = sorted(path for path in (root / "build").glob("cp3*/**/*.cc.o") if _is_isa_file(path))
    if not objects:
        findings.problems.append("no object file of an instruction set under build/: build first")
    for path in objects:
        listed = subprocess.run(["nm", str(path)], check=True, capture_output=True, text=True).stdout
        findings.problems.extend(f"{path.relative_to(root / 'build')}: {line}" for line in judge(listed))
    findings.figures.append(f"{len(objects)} object files of instruction sets")
    return findings


def judge(nm_output: str) -> list[str]:
    """Problems in the output of `nm` for one object file."""
    exported, problems = [], []
    for line in nm_output.splitlines():
        *_, kind, name = line.split()
        if "_GLOBAL__sub_I" in name or "__static_initialization" in name:
            problems.append(f"static initialiser {name}")
        elif kind in _UNDEFINED:
            continue
        elif kind in "WVu":
            problems.append(f"weak symbol {name}")
        elif name.startswith(("_ZNSt", "_ZSt", "_ZNKSt")):
            problems.append(f"std template {name}")
        elif kind.isupper():
            exported.append(name)
    if len(exported) != 1:
        problems.append(f"exports {len(exported)} symbols instead of one: {' '.join(exported)}")
    return problems


def _is_isa_file(path: Path) -> bool:
    return path.name.removesuffix(".cc.o").split("_")[0] in ISA_STEMS and "kernels" in path.parts
