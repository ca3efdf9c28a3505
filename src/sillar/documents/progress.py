"""What indexing tells while it runs and when it is done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class IndexProgress:
    """One step of indexing: `file` was just read, failed or stored."""

    done: int
    total: int
    file: str
    failed: str | None = None


@dataclass(slots=True)
class IndexReport:
    """What indexing a folder did."""

    read: int = 0
    unchanged: int = 0
    moved: int = 0
    deleted: int = 0
    chunks: int = 0
    seconds: float = 0.0
    failed: dict[str, str] | None = None
    """Path -> reason, of files that could not be read this time."""


Progress = Callable[[IndexProgress], None]
