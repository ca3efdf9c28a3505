"""Listens and ends well: deadlines on every connection, drains on SIGTERM, goes at once on the second."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from sillar.server.protocol import guarded_protocol
from sillar.server.state import ServerState

Say = Callable[[str], None]
"""Takes progress, a line at a time."""


def make_server(
    app: FastAPI, state: ServerState, say: Say, listening: Callable[[int], None] | None = None
) -> Server:
    """uvicorn with our deadlines, around an application whose models are loaded.

    `listening` is called with the port as soon as connections are taken.
    """
    options, limits = state.options, state.options.limits
    config = uvicorn.Config(
        app,
        host=options.host,
        port=options.port,
        http=guarded_protocol(limits),
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=max(1, int(limits.header_seconds)),
        timeout_graceful_shutdown=max(1, int(limits.grace_seconds)),
        limit_concurrency=limits.connections,
        h11_max_incomplete_event_size=32 << 10,
    )
    return Server(config, state, say, listening)


class Server(uvicorn.Server):
    """uvicorn's, which tells the state that it drains, and exits 0 after SIGTERM."""

    def __init__(
        self,
        config: uvicorn.Config,
        state: ServerState,
        say: Say,
        listening: Callable[[int], None] | None = None,
    ) -> None:
        super().__init__(config)
        self._state = state
        self._say = say
        self._listening = listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listens, then says so."""
        await super().startup(sockets)
        if self.started and self._listening is not None:
            self._listening(self.servers[0].sockets[0].getsockname()[1])

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handlers for as long as it serves; unlike uvicorn's, the signal is not raised again after."""
        loop = asyncio.get_running_loop()
        handled = (signal.SIGTERM, signal.SIGINT)
        for number in handled:
            loop.add_signal_handler(number, self._stop)
        try:
            yield
        finally:
            for number in handled:
                loop.remove_signal_handler(number)

    def _stop(self) -> None:
        if self.should_exit:
            self._say("Stopping now.")
            self.force_exit = True
            return
        grace = self._state.options.limits.grace_seconds
        self._say(f"Finishing what runs, {grace:g} s at most. A second signal stops at once.")
        self._state.draining = True
        self.should_exit = True
