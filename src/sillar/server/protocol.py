"""uvicorn's HTTP protocol with deadlines: for slow headers, slow bodies and readers that stall."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from sillar.server.options import Limits


def guarded_protocol(limits: Limits) -> type[H11Protocol]:
    """A protocol class that drops connections which keep it waiting."""
    tick = max(0.05, min(limits.header_seconds, limits.body_seconds, limits.stall_seconds) / 4)

    class GuardedProtocol(H11Protocol):
        """Looks at its connection a few times within the shortest deadline."""

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._phase = ""
            self._request: Any = None
            self._since = self.loop.time()
            self._unread = 0
            self._watch: asyncio.TimerHandle | None = self.loop.call_later(tick, self._look)

        def connection_lost(self, exc: Exception | None) -> None:
            if self._watch is not None:
                self._watch.cancel()
                self._watch = None
            super().connection_lost(exc)

        def _look(self) -> None:
            now = self.loop.time()
            phase, deadline = self._state()
            # A reader who takes anything at all is slow, not stalled: the clock starts again.
            unread = self.transport.get_write_buffer_size()
            # Requests may come and be answered between two looks: each starts the clock again too.
            moved = phase != self._phase or self.cycle is not self._request
            if moved or (phase == "stalled" and unread < self._unread):
                self._phase, self._request, self._since = phase, self.cycle, now
            self._unread = unread
            if deadline and now - self._since > deadline:
                self.transport.abort()
                return
            self._watch = self.loop.call_later(tick, self._look)

        def _state(self) -> tuple[str, float]:
            """What is being waited for, and how long at most (0: as long as it takes)."""
            cycle: Any = self.cycle
            if self.transport.get_write_buffer_size() > 0:
                return "stalled", limits.stall_seconds
            if cycle is None or cycle.response_complete:
                return "headers", limits.header_seconds
            if cycle.more_body:
                return "body", limits.body_seconds
            return "working", 0

    return GuardedProtocol
