"""Renders hostile templates in a child process that can really be stopped, whatever the template does.

jinja2's sandbox keeps a template from the machine, but not from looping, nesting or multiplying strings for
ever, also inside one call of C code. So rendering happens in a child with limits of CPU time and memory that
the kernel keeps, and of output; a wall-clock limit catches what is left. The child starts at the first
render, serves one after another (a fraction of a millisecond each) and ends with its parent's pipe.
"""

from __future__ import annotations

import json
import os
import selectors
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sillar.errors import TemplateError

_WORKER = Path(__file__).with_name("sandbox_worker.py")
_KEPT_ENVIRONMENT = (
    "PATH",
    "PYTHONPATH",
    "PYTHONHOME",
    "SYSTEMROOT",
    "LD_LIBRARY_PATH",
    "LANG",
    "TZ",
    "HOME",
)
_MAX_REQUEST = 1 << 28
_TOO_LONG = "it takes too much time or memory and was stopped"


class RefusedError(TemplateError):
    """The template itself said no, with raise_exception."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one rendering may take."""

    cpu_seconds: float = 2.0
    wall_seconds: float = 30.0
    """Only for a child that hangs without computing; generous, because the machine may be busy."""
    memory: int = 512 << 20
    output: int = 8 << 20
    """Characters."""


class Sandbox:
    """One child process, started when needed. Safe to share between threads; survives a fork."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._owner = 0

    def render(self, template: str, variables: Mapping[str, Any]) -> str:
        """The rendered text. Raises TemplateError when the template fails, refuses or exceeds a limit."""
        try:
            request = json.dumps({"template": template, "variables": dict(variables)}).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise TemplateError(f"The messages are not plain data: {error}") from error
        if len(request) > _MAX_REQUEST:
            raise TemplateError("The messages are too long to be rendered.")
        with self._lock:
            answer = self._ask(struct.pack("<I", len(request)) + request)
        if "text" in answer:
            return str(answer["text"])
        if answer.get("raised"):
            raise RefusedError(f"The model's chat template refuses these messages: {answer['error']}")
        raise TemplateError(f"The model's chat template failed: {answer.get('error')}")

    def close(self) -> None:
        """Ends the child process."""
        with self._lock:
            self._stop()

    def _ask(self, request: bytes) -> dict[str, Any]:
        child = self._running()
        deadline = time.monotonic() + self._limits.wall_seconds
        try:
            exchange = _Exchange(child, deadline)
            exchange.send(request)
            (size,) = struct.unpack("<I", exchange.receive(4))
            if size > 8 * self._limits.output + 4096:
                raise _StoppedError
            answer: dict[str, Any] = json.loads(exchange.receive(size))
            return answer
        except (_StoppedError, OSError, ValueError):
            self._stop()
            return {"error": _TOO_LONG}

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is not None and self._owner == os.getpid() and self._child.poll() is None:
            return self._child
        if self._owner == os.getpid():
            self._stop()
        limits = self._limits
        command = [sys.executable, "-P", str(_WORKER)]
        command += [str(limits.memory), str(limits.cpu_seconds), str(limits.output)]
        # No keys or tokens of this process are the template's business.
        environment = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
        child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            bufsize=0,
        )
        for pipe in (child.stdin, child.stdout):
            assert pipe is not None
            os.set_blocking(pipe.fileno(), False)
        self._child, self._owner = child, os.getpid()
        return child

    def _stop(self) -> None:
        if self._child is None:
            return
        self._child.kill()
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                pipe.close()
        self._child.wait()
        self._child = None

    def __del__(self) -> None:
        child = getattr(self, "_child", None)
        if child is not None and self._owner == os.getpid():
            self._stop()


class _StoppedError(Exception):
    """The child died or did not answer in time."""


class _Exchange:
    """Bytes to and from the child before a deadline."""

    def __init__(self, child: subprocess.Popen[bytes], deadline: float) -> None:
        assert child.stdin is not None
        assert child.stdout is not None
        self._to, self._from, self._deadline = child.stdin.fileno(), child.stdout.fileno(), deadline

    def send(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            self._wait(self._to, selectors.EVENT_WRITE)
            view = view[os.write(self._to, view) :]

    def receive(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            self._wait(self._from, selectors.EVENT_READ)
            chunk = os.read(self._from, min(size - len(data), 1 << 20))
            if not chunk:
                raise _StoppedError
            data += chunk
        return bytes(data)

    def _wait(self, descriptor: int, event: int) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, event)
            if not selector.select(max(0.0, self._deadline - time.monotonic())):
                raise _StoppedError
