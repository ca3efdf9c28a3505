"""Parses files in child processes, one after another, and replaces a child that dies or hangs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import struct
import sys
from asyncio.subprocess import PIPE, Process
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from sillar.documents.document import Document
from sillar.documents.ingest.limits import ParserLimits
from sillar.errors import DocumentError

_FILES_PER_CHILD = 200
_INHERITED = ("PATH", "PYTHONPATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "VIRTUAL_ENV")


@dataclass(frozen=True, slots=True)
class ParsedFile:
    """A document and the SHA-256 of the bytes that it was read from."""

    document: Document
    hash: str


class FileParser:
    """One child process at a time; `parse` waits its turn. Use as an async context manager."""

    def __init__(self, limits: ParserLimits | None = None) -> None:
        self._limits = limits or ParserLimits()
        self._process: Process | None = None
        self._served = 0
        self._lock = asyncio.Lock()

    async def __aenter__(self) -> FileParser:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends the child."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        if process.stdin is not None:
            process.stdin.close()
        await process.wait()

    async def parse(self, path: Path, name: str = "") -> ParsedFile:
        """The document in a file; `name` decides its kind where it differs from the path. Raises
        DocumentError.
        """
        async with self._lock:
            if self._served >= _FILES_PER_CHILD:
                await self.close()
            try:
                async with asyncio.timeout(self._limits.wall_seconds):
                    reply = await self._ask({"path": os.fspath(path), "name": name or path.name})
            except TimeoutError:
                await self.close()
                raise DocumentError("Reading it takes too long.", "limits") from None
            except BaseException:
                await self.close()
                raise
        if "error" in reply:
            raise DocumentError(str(reply["error"]), str(reply.get("kind", "unreadable")))
        try:
            return ParsedFile(Document.from_json(reply["document"]), str(reply["hash"]))
        except (KeyError, TypeError, ValueError):
            raise DocumentError("Its parser gave no usable answer.") from None

    async def _ask(self, request: dict[str, str]) -> dict[str, Any]:
        process = self._process or await self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        self._served += 1
        try:
            process.stdin.write(json.dumps(request).encode("ascii") + b"\n")
            await process.stdin.drain()
            (size,) = struct.unpack("<Q", await process.stdout.readexactly(8))
            if size > self._limits.output_bytes:
                raise DocumentError("It holds too much text.", "too_large")
            reply = json.loads(await process.stdout.readexactly(size))
        except (asyncio.IncompleteReadError, BrokenPipeError, ConnectionResetError):
            code = await process.wait()
            raise DocumentError(_cause(code), "limits") from None
        return reply if isinstance(reply, dict) else {}

    async def _start(self) -> Process:
        limits = self._limits
        environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "sillar.documents.ingest.worker",
            str(limits.cpu_seconds), str(limits.memory_bytes), str(limits.file_bytes),
            stdin=PIPE, stdout=PIPE, stderr=asyncio.subprocess.DEVNULL, env=environment,
        )  # fmt: skip
        self._served = 0
        return self._process


def _cause(code: int) -> str:
    """Why a child ended, in a person's words."""
    if code == -24:
        return "Reading it takes too much processor time."
    if code == -9:
        return "Its parser was stopped (out of memory?)."
    return f"Its parser crashed (status {code})."
