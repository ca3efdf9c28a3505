"""A connection's deadlines, by a clock that the tests move: who is busy keeps it, who dawdles does not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from sillar.server.options import Limits
from sillar.server.protocol import guarded_protocol

LIMITS = Limits(header_seconds=10, body_seconds=60, stall_seconds=30)
TICK = 2.5
GET = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"


class Clock:
    """The running loop with a time of its own."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[asyncio.Handle, float]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio.get_running_loop(), name)

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[..., None]) -> asyncio.Handle:
        handle = asyncio.Handle(callback, (), asyncio.get_running_loop())
        self._due.append((handle, self.now + delay))
        return handle

    def advance(self, seconds: float) -> None:
        """In steps that are shorter than any deadline."""
        end = self.now + seconds
        while self.now < end:
            self.now += TICK / 4
            for handle, when in list(self._due):
                if when <= self.now:
                    self._due.remove((handle, when))
                    if not handle.cancelled():
                        handle._run()


class Wire(asyncio.Transport):
    """What was sent, how much of it is unread, and whether the connection was dropped."""

    def __init__(self) -> None:
        super().__init__()
        self.sent, self.unread, self.dropped = b"", 0, False

    def write(self, data: Any) -> None:
        self.sent += data

    def get_write_buffer_size(self) -> int:
        return self.unread

    def abort(self) -> None:
        self.dropped = True

    def close(self) -> None:
        self.dropped = True

    def is_closing(self) -> bool:
        return self.dropped


async def app(_: Any, receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body"})


@pytest.fixture
async def connection() -> tuple[Any, Wire, Clock]:
    clock, wire = Clock(), Wire()
    config = uvicorn.Config(app, timeout_keep_alive=10_000, lifespan="off", log_config=None)
    protocol = guarded_protocol(LIMITS)(config, ServerState(), {}, clock)  # type: ignore[arg-type]
    protocol.connection_made(wire)
    return protocol, wire, clock


async def answered(protocol: Any, wire: Wire, times: int) -> None:
    while wire.sent.count(b" 200 ") < times or not protocol.cycle.response_complete:  # noqa: ASYNC110  its tasks are uvicorn's
        await asyncio.sleep(0)


async def test_a_connection_whose_requests_are_answered_between_two_looks_is_busy(
    connection: tuple[Any, Wire, Clock],
) -> None:
    protocol, wire, clock = connection
    for number in range(1, 21):
        protocol.data_received(GET)
        await answered(protocol, wire, number)
        clock.advance(TICK)
        assert not wire.dropped
    clock.advance(LIMITS.header_seconds + 2 * TICK)
    assert wire.dropped


@pytest.mark.parametrize(
    ("sent", "deadline"),
    [
        (b"", 10),
        (GET[:-2], 10),
        (b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 9\r\n\r\nx", 60),
    ],
)
async def test_who_does_not_finish_a_request_is_dropped_at_its_deadline(
    connection: tuple[Any, Wire, Clock], sent: bytes, deadline: float
) -> None:
    protocol, wire, clock = connection
    if sent:
        protocol.data_received(sent)
    clock.advance(deadline - TICK)
    assert not wire.dropped
    clock.advance(3 * TICK)
    assert wire.dropped
    if protocol.cycle is not None:
        protocol.connection_lost(None)
        await asyncio.sleep(0)


async def test_a_reader_who_takes_anything_is_slow_and_one_who_takes_nothing_is_dropped(
    connection: tuple[Any, Wire, Clock],
) -> None:
    _, wire, clock = connection
    wire.unread = 1000
    for _ in range(10):
        clock.advance(LIMITS.stall_seconds - 2 * TICK)
        wire.unread -= 1
    assert not wire.dropped
    clock.advance(LIMITS.stall_seconds + 2 * TICK)
    assert wire.dropped
