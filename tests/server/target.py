"""A server process to attack, and what must hold after each attack."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from sillar.engine.request import GenerationParams
from tests.engine.fake import oracle
from tests.engine.fake_text import FakeCodec, text_of

CHAT = "/v1/chat/completions"
MESSAGES = [{"role": "user", "content": "hello"}]
CLOSE = {"connection": "close"}
HONEST = {"messages": MESSAGES, "max_tokens": 10, "ignore_eos": True}


class Target:
    """One running server; `watch` first, then attack, then `check`."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process = process
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self._client = httpx.Client(base_url=self.url)
        self._memory = 0
        self._tasks = 0

    def vitals(self) -> dict[str, int]:
        """Requests in the engine (active), KV blocks in use (kv_used), tasks of the event loop (tasks)."""
        found: dict[str, int] = self._client.get("/test/vitals", headers=CLOSE).json()
        return found

    def idle(self) -> bool:
        """Nothing is left over."""
        now = self.vitals()
        return now["active"] == 0 and now["kv_used"] == 0 and now["tasks"] <= max(self._tasks, now["active"])

    def healthy(self) -> bool:
        """/health says so within a second; a busy machine may need several tries."""
        begin = time.monotonic()
        assert self._client.get("/health", headers=CLOSE).status_code == 200
        return time.monotonic() - begin < 1

    def watch(self) -> None:
        """What memory and tasks are measured against from now on."""
        self._tasks = self.vitals()["tasks"]
        self._memory = resident(self.process.pid)

    def check(self) -> None:
        """Alive and healthy, an honest request right, nothing left over, memory within 5 %."""
        assert self.process.poll() is None, "the server is gone"
        assert until(self.healthy)
        answer = self._client.post(CHAT, json=HONEST, headers=CLOSE).json()
        expected = oracle(
            FakeCodec().encode_chat(MESSAGES), GenerationParams(max_tokens=10, ignore_eos=True), order=3
        )
        assert answer["choices"][0]["message"]["content"] == text_of(expected)
        assert until(self.idle), self.vitals()
        assert until(lambda: resident(self.process.pid) <= 1.05 * self._memory)

    @contextmanager
    def held(self) -> Iterator[None]:
        """No step of the model ends in the meantime: what was let in stays, however slow the machine is."""
        self._client.post("/test/hold?on=1", headers=CLOSE)
        try:
            yield
        finally:
            self._client.post("/test/hold?on=0", headers=CLOSE)


def until(condition: Callable[[], bool], seconds: float = 60) -> bool:
    """Whether it comes true; `seconds` are for what never does."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def resident(pid: int) -> int:
    """Bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("the process is gone")


@contextmanager
def target(pause: float = 0.01, limits: dict[str, Any] | None = None, **engine: Any) -> Iterator[Target]:
    """Starts it, hands it over, and ends it."""
    options = json.dumps({"limits": limits or {}, "engine": engine, "pause": pause})
    command = [sys.executable, "-m", "tests.server.serve_fake", options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Target(process, int(process.stdout.readline()))
        finally:
            process.kill()


def warm_up(server: Target) -> None:
    """Takes what a server keeps once and for all: libraries, caches, threads, the heap's high-water mark."""
    schema = {"enum": [str(i) for i in range(9_000)]}
    grammar = {"type": "json_schema", "json_schema": {"schema": schema}}
    bodies = [
        '{"messages":[' + "[]," * 500_000 + "1]}",
        json.dumps({"messages": MESSAGES * 50_000}),
        json.dumps({**HONEST, "max_tokens": 500, "n": 4}),
        json.dumps({**HONEST, "max_tokens": 1, "response_format": grammar}),
        json.dumps({**HONEST, "max_tokens": 1, "response_format": {"type": "regex", "pattern": "("}}),
    ]
    headers = {"content-type": "application/json"}
    with httpx.Client(base_url=server.url, headers=headers) as client:
        for body in bodies * 2:
            client.post(CHAT, content=body)
        client.post("/v1/embeddings", json={"input": ["x" * 10_000] * 100})
