"""Follows a folder: looks at it again and again, and brings the index up to date with what has settled.

It polls: network shares tell nobody of changes, and a look only asks for sizes and times.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn

from sillar.documents.folder import scan_folder
from sillar.documents.index import Index
from sillar.documents.ingest.limits import ParserLimits
from sillar.documents.store.protocol import FileState
from sillar.errors import SillarError

PAUSE_SECONDS = 2.0
_PAUSE_TO_LOOK = 9
"""A pause is at least so many times as long as the look before it: large folders take a tenth of the time."""
_TROUBLE = (SillarError, OSError, sqlite3.Error)


@dataclass(frozen=True, slots=True)
class FileChange:
    """One change that the index now has too; `failed`: a file whose new content could not be read;
    `waiting`: the folder itself could not be followed just now, and the index stays as it is.
    """

    change: Literal["added", "changed", "moved", "deleted", "failed", "waiting"]
    path: str
    before: str = ""
    """Where a moved file was."""
    reason: str = ""

    def __str__(self) -> str:
        if self.change == "moved":
            return f"moved: {self.before} -> {self.path}"
        name = {"failed": "not read", "waiting": "waiting for"}.get(self.change, self.change)
        return f"{name}: {self.path}" + (f": {self.reason}" if self.reason else "")


@dataclass(frozen=True, slots=True)
class Look:
    """A folder at one moment: (bytes, modified in ns) by relative path, and the device it lies on."""

    files: Mapping[str, tuple[int, int]]
    device: int


def look_at(root: Path) -> Look:
    """Sizes and times of a folder's files; blocking. Raises OSError where it cannot be listed."""
    device = os.stat(root).st_dev
    unreadable: list[str] = []
    files = {path: (s.st_size, s.st_mtime_ns) for path, s in scan_folder(root, unreadable)}
    if "" in unreadable:
        raise PermissionError(f"{root} cannot be listed")
    return Look(files, device)


class Follower:
    """Brings an index up to date with a folder that `Index.add_folder` has read once.

    A change is taken when two looks in a row saw the same size and time, so that no file is read while it is
    being written. `tell` is called for each change, and once for each trouble.
    """

    def __init__(
        self,
        index: Index,
        folder: Path,
        tell: Callable[[FileChange], None],
        *,
        collection: str = "",
        limits: ParserLimits | None = None,
        look: Callable[[Path], Look] = look_at,
    ) -> None:
        self._index = index
        self._folder = folder.resolve()
        self._tell = tell
        self._collection = collection
        self._limits = limits
        self._look = look
        self._last: Look | None = None
        self._unsettled: set[str] = set()
        self._due = True
        self._trouble = ""
        self._look_seconds = 0.0

    async def run(self) -> NoReturn:
        """Follows until it is cancelled."""
        while True:
            await self.step()
            await asyncio.sleep(max(PAUSE_SECONDS, _PAUSE_TO_LOOK * self._look_seconds))

    async def step(self) -> None:
        """Looks once and takes what has settled. What goes wrong is told, and tried again next time."""
        try:
            if await self._settled():
                await self._take()
                self._due = False
            self._trouble = ""
        except _TROUBLE as error:
            self._wait(getattr(error, "strerror", None) or str(error))
        except ExceptionGroup as errors:
            trouble, rest = errors.split(_TROUBLE)
            if rest is not None or trouble is None:
                raise
            self._wait("; ".join(str(error) for error in _leaves(trouble)))

    def _wait(self, reason: str) -> None:
        if reason != self._trouble:
            self._trouble = reason
            self._tell(FileChange("waiting", str(self._folder), reason=reason))

    async def _settled(self) -> bool:
        """Whether there is something to take. Raises OSError where the folder is not to be believed."""
        started = time.monotonic()
        now = await asyncio.to_thread(self._look, self._folder)
        self._look_seconds = time.monotonic() - started
        last = self._last
        if last is not None and last.files and not now.files and now.device != last.device:
            raise OSError("it is empty and on another device: is a share not mounted?")
        self._last = now
        if last is None:
            return False
        changed = {
            path
            for path in now.files.keys() | last.files.keys()
            if now.files.get(path) != last.files.get(path)
        }
        self._due = self._due or bool(self._unsettled - changed)
        self._unsettled = changed
        return self._due

    async def _take(self) -> None:
        before = await self._index.known(str(self._folder), self._collection)
        await self._index.add_folder(
            self._folder,
            collection=self._collection,
            limits=self._limits,
            unsettled=frozenset(self._unsettled),
        )
        after = await self._index.known(str(self._folder), self._collection)
        for change in differences(before, after):
            self._tell(change)


def differences(before: Mapping[str, FileState], after: Mapping[str, FileState]) -> Iterator[FileChange]:
    """What the store learnt about a folder between two moments, by path."""
    gone = {state.document_id: path for path, state in before.items() if path not in after}
    for path, state in sorted(after.items()):
        old = before.get(path)
        if state.failed is not None:
            if old is None or _facts(old) != _facts(state):
                yield FileChange("failed", path, reason=state.failed)
        elif old is not None:
            if old.hash != state.hash or old.failed is not None:
                yield FileChange("changed", path)
        elif source := gone.pop(state.document_id, ""):
            yield FileChange("moved", path, before=source)
        else:
            yield FileChange("added", path)
    for path in sorted(gone.values()):
        yield FileChange("deleted", path)


def _facts(state: FileState) -> tuple[int, int, str | None]:
    return state.size, state.mtime_ns, state.failed


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
