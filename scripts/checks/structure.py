"""docs/structure.md names every module of the tree and nothing that is not there."""

from __future__ import annotations

from pathlib import Path

from scripts import structure
from scripts.checks import Findings


def check(root: Path) -> Findings:
    findings = Findings()
    there = {
        path: purpose for path, purpose in structure.modules(root).items() if not path.endswith("__init__.py")
    }
    named = structure.named_modules((root / structure.PAGE).read_text())
    findings.problems.extend(
        f"{path} is not in {structure.PAGE}: run `make docs`" for path in sorted(set(there) - named)
    )
    findings.problems.extend(
        f"{structure.PAGE} names {path}, which is not there" for path in sorted(named - set(there))
    )
    findings.problems.extend(
        f"{path} does not open with what it is for" for path, purpose in sorted(there.items()) if not purpose
    )
    findings.figures.append(f"{len(there)} modules")
    return findings
