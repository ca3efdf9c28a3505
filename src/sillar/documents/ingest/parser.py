"""Parses files in child processes, one after another, and replaces a child that dies or hangs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import struct
import sys
from asyncio.subprocess import PIPE, Process
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from sillar.documents.document import Document
from sillar.documents.ingest.limits import ParserLimits
from sillar.documents.ingest.ocr import HOW_TO_INSTALL, available
from sillar.errors import DocumentError

_FILES_PER_CHILD = 200
_INHERITED = ("PATH", "PYTHONPATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "TESSDATA_PREFIX")


@dataclass(frozen=True, slots=True)
class ParsedFile:
    """A document and the SHA-256 of the bytes that it was read from."""

    document: Document
    hash: str


class FileParser:
    """One child process at a time; `parse` waits its turn. Use as an async context manager."""

    def __init__(self, limits: ParserLimits | None = None, *, ocr: bool = False) -> None:
        """`ocr`: for pictures of pages only; a parser without it starts one when it meets such a file."""
        self._limits = limits or ParserLimits()
        self._ocr = ocr
        self._reader: FileParser | None = None
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
        """Ends the child, and what it has started."""
        reader, self._reader = self._reader, None
        if reader is not None:
            await reader.close()
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        if process.stdin is not None:
            process.stdin.close()
        await process.wait()

    async def parse(self, path: Path, name: str = "") -> ParsedFile:
        """The document in a file; `name` decides its kind where it differs from the path.

        A PDF without usable text is read by OCR where that is installed. Raises DocumentError.
        """
        try:
            parsed = await self._parse(path, name)
        except DocumentError as error:
            if error.kind != "needs_ocr" or self._ocr:
                raise
            if not available():
                raise DocumentError(f"{error} To read it, {HOW_TO_INSTALL}.", error.kind) from None
            return await self._recognise(path, name)
        if not parsed.document.unread:
            return parsed
        if available():
            return await self._recognise(path, name)
        pages = ", ".join(map(str, parsed.document.unread[:20]))
        note = f"Pages without text: {pages}. To read them, {HOW_TO_INSTALL}."
        return replace(parsed, document=replace(parsed.document, notes=(*parsed.document.notes, note)))

    async def _recognise(self, path: Path, name: str) -> ParsedFile:
        """The same file again, in a child with the limits that recognising pages takes."""
        if self._reader is None:
            self._reader = FileParser(self._limits.for_ocr(), ocr=True)
        return await self._reader.parse(path, name)

    async def _parse(self, path: Path, name: str) -> ParsedFile:
        async with self._lock:
            if self._served >= _FILES_PER_CHILD:
                await self.close()
            try:
                async with asyncio.timeout(self._limits.wall_seconds):
                    request: dict[str, str | bool] = {
                        "path": os.fspath(path),
                        "name": name or path.name,
                        "ocr": self._ocr,
                    }
                    reply = await self._ask(request)
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

    async def _ask(self, request: dict[str, str | bool]) -> dict[str, Any]:
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
            start_new_session=True,
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
