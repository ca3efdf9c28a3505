"""A server over the real default models as a process of its own, as a user starts it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("sillar._native")

_COMMAND = "from sillar.cli import main; main()"


@dataclass(frozen=True)
class RealServer:
    """Where it listens and what its models are called."""

    url: str
    chat: str
    embedder: str
    process: subprocess.Popen[str]


@pytest.fixture(scope="session")
def real_server(chat_model: Path, embedding_model: Path) -> Iterator[RealServer]:
    with serve(chat_model, embedding_model) as server:
        yield server


@contextmanager
def serve(chat_model: Path, embedding_model: Path, **settings: object) -> Iterator[RealServer]:
    """Starts it, hands it over, and ends it as a user does. `settings`: of the engine."""
    command = [sys.executable, "-c", _COMMAND, "serve", "--port", "0"]
    command += ["--model", str(chat_model), "--embedder", str(embedding_model)]
    environment = _environment() | {f"SILLAR_ENGINE_{k.upper()}": str(v) for k, v in settings.items()}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if line.startswith("Serving"):
                break
        else:
            pytest.fail("".join(said))
        url = said[-1].split()[-1].removesuffix("/v1")
        try:
            yield RealServer(url, str(chat_model), str(embedding_model), process)
        finally:
            process.terminate()
            process.communicate(timeout=60)
        assert process.returncode == 0


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SILLAR_")}
    cache = os.environ.get("SILLAR_CACHE")
    return kept | ({"SILLAR_CACHE": cache} if cache else {})
