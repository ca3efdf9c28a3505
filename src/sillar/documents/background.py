"""Work that goes on behind its caller, in order: one batch is stored while the next one is embedded."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from types import TracebackType
from typing import Any


class Background:
    """A chain of coroutines, each run when those before are done. Leaving the context waits for all."""

    def __init__(self) -> None:
        self._last: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Background:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.done()

    def add(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs `work` after what was added before; not at all where that failed."""
        self._last = asyncio.create_task(self._after(self._last, work))

    @property
    def busy(self) -> bool:
        """Whether something is not done yet."""
        return self._last is not None and not self._last.done()

    async def done(self) -> None:
        """Waits for everything added so far. Raises what the first to fail raised."""
        last, self._last = self._last, None
        if last is not None:
            await last

    @staticmethod
    async def _after(before: asyncio.Task[None] | None, work: Coroutine[Any, Any, None]) -> None:
        try:
            if before is not None:
                await before
        except BaseException:
            work.close()
            raise
        await work
