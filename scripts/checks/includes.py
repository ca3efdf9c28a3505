"""Which native folder may include which: bind > model > kernels > base; Python headers only in bind."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from scripts.checks import Findings, repository_files

RANKS = {"base": 0, "kernels": 1, "model": 2, "bind": 3}
PUBLIC_KERNEL_HEADERS = {"kernels/kernels.h", "kernels/cpu.h", "kernels/probe.h"}
_INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)
_PYTHON = re.compile(r"^(Python\.h|nanobind/.*|pybind11/.*)$")


def check(root: Path) -> Findings:
    findings = Findings()
    files = [path for path in repository_files(root) if path.parts[0] == "native" and len(path.parts) > 2]
    for path in files:
        if path.suffix in {".h", ".cc", ".inc"}:
            findings.problems.extend(_check_file(root, path))
    findings.figures.append(f"{len(files)} files under native/")
    return findings


def _check_file(root: Path, path: Path) -> list[str]:
    folder = path.parts[1]
    rank = RANKS.get(folder, max(RANKS.values()))  # drivers beside the four folders may see all of them
    problems = []
    for quote, name in _INCLUDE.findall((root / path).read_text()):
        if _PYTHON.match(name) and folder != "bind":
            problems.append(f"{path}: {name}: Python headers belong in bind/")
        if quote == "<" or (name.endswith(".inc") and "/" not in name):  # the build writes bare .inc files
            continue
        target = _resolve(root, path, name)
        target_folder = target.parts[0]
        if target_folder not in RANKS:
            problems.append(f'{path}: "{name}" names no file under native/')
        elif RANKS[target_folder] > rank:
            problems.append(f'{path}: {folder} may not see {target_folder} ("{name}")')
        elif target_folder == "kernels" != folder and str(target) not in PUBLIC_KERNEL_HEADERS:
            problems.append(f'{path}: "{name}" is private to kernels/')
    return problems


def _resolve(root: Path, path: Path, name: str) -> PurePosixPath:
    """The included file relative to native/: beside the includer, or from native/ itself."""
    native = (root / "native").resolve()
    beside = (root / path.parent / name).resolve()
    if beside.is_file() and beside.is_relative_to(native):
        return PurePosixPath(beside.relative_to(native))
    return PurePosixPath(name)
