"""Files and functions stay small: the limits of the house, printed with where we stand."""

from __future__ import annotations

import ast
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scripts.checks import Findings, cpp_functions, repository_files

PYTHON_FILE_MEDIAN = 150
PYTHON_FILE_MAX = 400
CPP_FILE_MAX = 500
FUNCTION_P95 = 40
FUNCTION_MAX = 60
CPP_SUFFIXES = {".h", ".cc", ".inc"}


@dataclass(frozen=True)
class Function:
    where: str
    lines: int


def check(root: Path) -> Findings:
    files = repository_files(root)
    python = {path: (root / path).read_text() for path in files if path.suffix == ".py"}
    cpp = {path: (root / path).read_text() for path in files if path.suffix in CPP_SUFFIXES}
    findings = Findings()
    _check_files("Python", python, PYTHON_FILE_MAX, findings)
    _check_files("C++", cpp, CPP_FILE_MAX, findings)
    lengths = [count for text in python.values() if (count := len(text.splitlines())) > 1]
    if lengths and statistics.median(lengths) > PYTHON_FILE_MEDIAN:
        findings.problems.append(f"the median Python file is longer than {PYTHON_FILE_MEDIAN} lines")
    _check_functions("Python", [f for path, text in python.items() for f in _python(path, text)], findings)
    _check_functions("C++", [f for path, text in cpp.items() for f in _cpp(path, text)], findings)
    return findings


def _check_files(language: str, texts: dict[Path, str], limit: int, findings: Findings) -> None:
    sizes = sorted((len(text.splitlines()), path) for path, text in texts.items())
    if not sizes:
        return
    median = statistics.median(size for size, _ in sizes)
    longest, where = sizes[-1]
    findings.figures.append(
        f"{language}: {len(sizes)} files, median {median:g} lines, longest {longest} ({where}), limit {limit}"
    )
    findings.problems.extend(f"{path}: {size} lines, limit {limit}" for size, path in sizes if size > limit)


def _check_functions(language: str, functions: list[Function], findings: Findings) -> None:
    if not functions:
        return
    ranked = sorted(functions, key=lambda function: function.lines)
    p95 = ranked[min(len(ranked) - 1, int(0.95 * len(ranked)))].lines
    findings.figures.append(
        f"{language}: {len(ranked)} functions, p95 {p95} lines (limit {FUNCTION_P95}), "
        f"longest {ranked[-1].lines} (limit {FUNCTION_MAX}; {ranked[-1].where})"
    )
    if p95 > FUNCTION_P95:
        findings.problems.append(f"{language}: functions' p95 is {p95} lines, limit {FUNCTION_P95}")
    findings.problems.extend(
        f"{function.where}: {function.lines} lines, limit {FUNCTION_MAX}"
        for function in ranked
        if function.lines > FUNCTION_MAX
    )


def _python(path: Path, text: str) -> Iterator[Function]:
    for node in ast.walk(ast.parse(text, str(path))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield Function(f"{path}:{node.lineno} {node.name}", (node.end_lineno or 0) - node.lineno + 1)


def _cpp(path: Path, text: str) -> Iterator[Function]:
    for signature, line, lines in cpp_functions.functions(text):
        yield Function(f"{path}:{line} {signature[:60]}", lines)
