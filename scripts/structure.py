"""Writes the list of modules in docs/structure.md from the lines that open each file: `make docs`."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

from scripts.checks import repository_files

PAGE = Path("docs/structure.md")
BEGIN, END = "<!-- modules: written by `make docs` -->", "<!-- end of modules -->"
_FOLDERS = ("src", "native", "benchmarks", "evaluations", "scripts")


def modules(root: Path) -> dict[str, str]:
    """{path: what its opening lines say} of every module; a .h with its .cc is one, `name.{h,cc}`."""
    files = [path for path in repository_files(root) if path.parts[0] in _FOLDERS]
    found = {}
    for path in files:
        text = (root / path).read_text()
        if path.suffix == ".py" and (path.name != "__init__.py" or text.strip()):
            found[str(path)] = _python_purpose(text)
        elif path.suffix == ".h":
            paired = path.with_suffix(".cc") in files
            found[str(path.with_suffix("")) + (".{h,cc}" if paired else ".h")] = _cpp_purpose(text)
        elif path.suffix == ".cc" and path.with_suffix(".h") not in files:
            found[str(path)] = _cpp_purpose(text)
    return found


def section(root: Path) -> str:
    """The generated part of the page: one heading a folder, one line a module."""
    folders: dict[str, list[tuple[str, str]]] = defaultdict(list)
    packages = {}
    for path, purpose in modules(root).items():
        folder, _, name = path.rpartition("/")
        if name == "__init__.py":
            packages[folder] = purpose
            folders[folder] += []
        else:
            folders[folder].append((name, purpose))
    parts = []
    for folder in sorted(folders, key=lambda name: (_FOLDERS.index(name.split("/")[0]), name)):
        heading = f"### {folder}/" + (f"\n\n{packages[folder]}" if folder in packages else "")
        listed = "\n".join(f"- `{name}`: {purpose}" for name, purpose in sorted(folders[folder]))
        parts.append(f"{heading}\n\n{listed}".rstrip())
    return "\n\n".join(parts)


def named_modules(page: str) -> set[str]:
    """The paths that the page's generated part names."""
    named, folder = set(), ""
    for line in page.partition(BEGIN)[2].partition(END)[0].splitlines():
        if line.startswith("### "):
            folder = line[4:].rstrip("/")
        elif match := re.match(r"- `([^`]+)`: ", line):
            named.add(f"{folder}/{match[1]}")
    return named


def _python_purpose(text: str) -> str:
    return _first_sentence(ast.get_docstring(ast.parse(text)) or "")


def _cpp_purpose(text: str) -> str:
    opening = re.match(r"(?://[^\n]*\n)*", text)
    return _first_sentence(re.sub(r"^// ?", "", opening.group() if opening else "", flags=re.MULTILINE))


def _first_sentence(text: str) -> str:
    paragraph = " ".join(text.strip().split("\n\n")[0].split())
    return re.split(r"(?<=[.!?])\s+(?=[A-Z`\"(])", paragraph)[0].rstrip(".")


def main() -> None:
    root = Path(__file__).resolve().parents[1]
    before, _, rest = (root / PAGE).read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    (root / PAGE).write_text(f"{before}{BEGIN}\n\n{section(root)}\n\n{END}{after}")


if __name__ == "__main__":
    main()
