"""Runs the checks named on the command line, or all: `python -m scripts.checks [NAME...]`."""

from __future__ import annotations

import sys
from pathlib import Path

from scripts.checks import Check, hygiene, includes, sizes, structure, symbols

CHECKS: dict[str, Check] = {
    "sizes": sizes.check,
    "includes": includes.check,
    "symbols": symbols.check,
    "hygiene": hygiene.check,
    "structure": structure.check,
}


def main(names: list[str]) -> int:
    root = Path(__file__).resolve().parents[2]
    unknown = [name for name in names if name not in CHECKS]
    if unknown:
        print(f"unknown check {', '.join(unknown)}; there are: {', '.join(CHECKS)}", file=sys.stderr)
        return 2
    failed = False
    for name in names or CHECKS:
        findings = CHECKS[name](root)
        for line in findings.figures:
            print(f"{name}: {line}")
        for line in findings.problems:
            print(f"{name}: FAILED: {line}")
        print(f"{name}: {'failed' if findings.problems else 'ok'}")
        failed = failed or bool(findings.problems)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
