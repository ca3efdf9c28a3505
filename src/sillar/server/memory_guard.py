"""Large bodies are taken only while there is memory for what they become; the rest stays for small ones."""

from __future__ import annotations

from collections.abc import Callable

from sillar.engine.memory import available_memory
from sillar.server.errors import ApiError

SMALL = 64 << 10
"""Bytes of a body that are taken in any case."""
_RESERVE = 32 << 20
"""Bytes that large bodies leave for the others."""


class MemoryGuard:
    """Memory that the bodies which are being received or answered may come to take."""

    def __init__(self, available: Callable[[], int] = available_memory) -> None:
        self._available = available
        self._promised = 0

    def admit(self, growth: int) -> Admission:
        """For one request's body; `growth`: bytes of memory that a byte of it may take."""
        return Admission(self, growth)

    def promise(self, size: int) -> None:
        """Raises ApiError 503 where so many bytes more are not there."""
        if self._promised + size + _RESERVE > self._available():
            raise ApiError(
                503,
                "The memory for a request of this size is not there. Try again later, or send less.",
                code="resources_exhausted",
                headers={"Retry-After": "2"},
            )
        self._promised += size

    def release(self, size: int) -> None:
        self._promised -= size


class Admission:
    """One body's share; leave the context when its request is answered."""

    def __init__(self, guard: MemoryGuard, growth: int) -> None:
        self._guard = guard
        self._growth = growth
        self._held = 0

    def __enter__(self) -> Admission:
        return self

    def __exit__(self, *_: object) -> None:
        self._guard.release(self._held * self._growth)

    def grow(self, size: int) -> None:
        """The body has, or says that it has, so many bytes. Raises ApiError 503."""
        if size > max(SMALL, self._held):
            # Doubled, so that a body without a length asks a few times only.
            held = max(size, min(2 * self._held, size + (1 << 20)))
            self._guard.promise((held - self._held) * self._growth)
            self._held = held
