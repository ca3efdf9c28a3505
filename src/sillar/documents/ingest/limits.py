"""What one file may cost its parser: time, memory, output."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class ParserLimits:
    """Limits of the child process in which a file is parsed."""

    cpu_seconds: int = 60
    wall_seconds: float = 120.0
    memory_bytes: int = 2048 * MIB
    """Address space of the child."""
    output_bytes: int = 128 * MIB
    file_bytes: int = 256 * MIB
