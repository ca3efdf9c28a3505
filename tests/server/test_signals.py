"""SIGTERM: what runs is finished, new work is not taken, exit 0. A second one, or the grace's end: now."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.server.target import target


@contextmanager
def process(grace: float, pause: float = 0.01) -> Iterator[tuple[subprocess.Popen[str], str]]:
    with target(pause, limits={"grace_seconds": grace}) as server:
        yield server.process, server.url


def body(tokens: int) -> dict[str, object]:
    messages = [{"role": "user", "content": "hello"}]
    return {"messages": messages, "max_tokens": tokens, "ignore_eos": True, "stream": True}


def test_what_runs_is_finished() -> None:
    with process(60) as (server, url):
        with httpx.stream("POST", f"{url}/v1/chat/completions", json=body(60)) as answer:
            lines = answer.iter_lines()
            next(lines)
            server.send_signal(signal.SIGTERM)
            rest = list(lines)
        assert rest[-2:] == ["data: [DONE]", ""]
        assert server.wait(60) == 0
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{url}/health")


@pytest.mark.parametrize(("grace", "signals"), [(60, 2), (1, 1)])
def test_the_second_signal_or_the_end_of_the_grace_stops_at_once(grace: float, signals: int) -> None:
    with process(grace, pause=0.1) as (server, url):  # the whole answer would take minutes
        with httpx.stream("POST", f"{url}/v1/chat/completions", json=body(7000)) as answer:
            lines = answer.iter_lines()
            next(lines)
            server.send_signal(signal.SIGTERM)
            assert server.stdout is not None
            assert "Finishing" in server.stdout.readline()
            if signals == 2:
                server.send_signal(signal.SIGTERM)
            try:
                rest = list(lines)
            except httpx.RemoteProtocolError:
                rest = []
            assert "data: [DONE]" not in rest
        assert server.wait(60) == 0
