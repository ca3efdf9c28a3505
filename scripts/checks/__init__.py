"""The house rules as programs: each check is a function from the repository's root to its findings."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Findings:
    """What a check saw: figures worth printing, and problems, which fail it."""

    problems: list[str] = field(default_factory=list)
    figures: list[str] = field(default_factory=list)


Check = Callable[[Path], Findings]


def repository_files(root: Path) -> list[Path]:
    """Files that git tracks or would track, relative to `root`, sorted."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout
    return sorted(Path(line) for line in set(listed.splitlines()) if (root / line).is_file())
