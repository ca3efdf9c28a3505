"""A program in a process of its own that answers calls, one JSON object a line over its standard streams.

The caller decides when it works; between calls it blocks in a read and uses no processor.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent


class WorkerError(RuntimeError):
    """A call failed inside the worker, or the worker is gone."""


class Worker:
    """The caller's end. `call("name", key=value)` runs the handler `name` there and returns its result."""

    def __init__(self, python: str | Path, module: str, env: Mapping[str, str] | None = None) -> None:
        self.name = module
        self._process = subprocess.Popen(
            [str(python), "-m", module],
            cwd=ROOT,
            env={**os.environ, **(env or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def call(self, name: str, **arguments: Any) -> Any:
        """Blocks until the worker has answered. Raises WorkerError with the worker's own message."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({"call": name, "arguments": arguments}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise WorkerError(f"{self.name} has ended") from None
        line = self._process.stdout.readline()
        if not line:
            raise WorkerError(f"{self.name} ended with status {self._process.wait()} in {name}")
        answer = json.loads(line)
        if "error" in answer:
            raise WorkerError(f"{self.name}: {name}: {answer['error']}")
        return answer["result"]

    def close(self) -> None:
        if self._process.stdin:
            self._process.stdin.close()
        self._process.wait(timeout=60)

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def serve(handlers: Mapping[str, Callable[..., Any]]) -> None:
    """The worker's end: answers until its input ends. Whatever else writes to stdout goes to stderr."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"result": handlers[request["call"]](**request["arguments"])}
        except Exception as error:
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def memory_bytes() -> dict[str, int]:
    """This process's resident bytes: anonymous (its own) and file (mapped; shared with the page cache)."""
    fields = {}
    for line in Path("/proc/self/status").read_text().splitlines():
        key, _, text = line.partition(":")
        if key in ("VmRSS", "VmHWM", "RssAnon", "RssFile"):
            fields[key] = int(text.split()[0]) * 1024
    return {
        "resident": fields["VmRSS"],
        "peak": fields["VmHWM"],
        "anonymous": fields["RssAnon"],
        "file": fields["RssFile"],
    }
