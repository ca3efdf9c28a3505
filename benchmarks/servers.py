"""Sillar and llama-server as subjects: each at its best settings, on its own port, started and stopped."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO

from benchmarks.peer_environment import llama_server

_START_SECONDS = 120
_LLAMA_FLAGS = (
    "--cont-batching",
    "--flash-attn",
    "on",
    "--cache-reuse",
    "256",
    "--no-webui",
    "--log-disable",
)


@dataclass(frozen=True, slots=True)
class Room:
    """What a server must be able to hold."""

    requests: int
    tokens: int
    """Of one request, prompt and answer."""
    threads: int


class Server:
    """A server's process. `with start(...) as server: server.port`"""

    def __init__(self, name: str, command: list[str], port: int, log: Path | None) -> None:
        self.name = name
        self.port = port
        self.command = command
        self._log: IO[bytes] = (log or Path(os.devnull)).open("wb")
        self._process = subprocess.Popen(command, stdout=self._log, stderr=self._log)

    def __enter__(self) -> Server:
        self.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def wait(self) -> None:
        """Until it answers. Raises RuntimeError when it ends instead, or takes too long."""
        end = time.monotonic() + _START_SECONDS
        while time.monotonic() < end:
            if self._process.poll() is not None:
                raise RuntimeError(f"{self.name} ended with status {self._process.returncode}")
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=5) as answer:
                    if answer.status == 200:
                        return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        raise RuntimeError(f"{self.name} did not start in {_START_SECONDS} s")

    def resident_bytes(self) -> int:
        """Of the process itself."""
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")


def sillar(model: Path, room: Room, log: Path | None = None) -> Server:
    """Sillar's defaults."""
    port = _free_port()
    command = [sys.executable, "-c", "from sillar.cli import main; main()", "serve"]
    command += ["--model", str(model), "--port", str(port), "--threads", str(room.threads)]
    return Server("sillar", command, port, log)


def llama(model: Path, room: Room, log: Path | None = None, *flags: str) -> Server:
    """llama-server: a slot a request, each with a cache of its own, which is faster than a common one."""
    port = _free_port()
    context = -(-(room.tokens + 64) // 256) * 256
    command = [str(llama_server()), "--model", str(model), "--port", str(port), "--host", "127.0.0.1"]
    command += ["--threads", str(room.threads), "--parallel", str(room.requests)]
    command += ["--ctx-size", str(context * room.requests), *_LLAMA_FLAGS, *flags]
    return Server("llama-server", command, port, log)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
