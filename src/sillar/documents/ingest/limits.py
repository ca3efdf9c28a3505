"""What one file may cost its parser: time, memory, output."""

from __future__ import annotations

from dataclasses import dataclass, replace

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

    def for_ocr(self) -> ParserLimits:
        """Recognising a page takes seconds, and there may be hundreds."""
        return replace(self, cpu_seconds=60 * self.cpu_seconds, wall_seconds=60 * self.wall_seconds,
                       memory_bytes=2 * self.memory_bytes)  # fmt: skip
