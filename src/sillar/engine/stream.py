"""The event loop's end of a request: what the engine's thread drew, in order, until the end or an error."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from sillar.engine.request import TokenEvent, Usage


class TokenStream:
    """Async iterator over a request's TokenEvents. Belongs to one event loop.

    Never holds more than the request's max_tokens. Leaving early needs cancel(); a stream that ended
    ignores it.
    """

    def __init__(self, cancel: Callable[[], None], usage: Callable[[], Usage]) -> None:
        self._cancel = cancel
        self.usage = usage
        """What the request has cost so far."""
        self._events: deque[TokenEvent] = deque()
        self._error: BaseException | None = None
        self._ended = False
        self._waiter: asyncio.Future[None] | None = None

    def __aiter__(self) -> TokenStream:
        return self

    async def __anext__(self) -> TokenEvent:
        while not self._events:
            if self._error is not None:
                error, self._error = self._error, None
                raise error
            if self._ended:
                raise StopAsyncIteration
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self._events.popleft()

    def ready(self) -> list[TokenEvent]:
        """What has arrived and was not taken yet, without waiting."""
        events = list(self._events)
        self._events.clear()
        return events

    def cancel(self) -> None:
        """Ends the request: its blocks are free before the next step."""
        if not self._ended:
            self._ended = True
            self._cancel()
            self._wake()

    def push(self, events: list[TokenEvent], error: BaseException | None, ended: bool) -> None:
        """Called by the engine, in the loop."""
        if self._ended:
            return
        self._events.extend(events)
        self._error = error
        self._ended = ended or error is not None
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
