"""Runs a job in forked children, each killed at the next write: the first at its first write, the next at
its second, until one comes through. After each kill it checks what is left, and that a second run ends
where an undisturbed one does. `python -m tests.documents.kill_runner SCENARIO FOLDER` prints their number.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import signal
import sqlite3
import sys
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from sillar.documents import folder_job, web, web_copy
from sillar.documents.ingest.parser import ParsedFile
from sillar.documents.ingest.text import parse_text
from sillar.documents.store import sqlite as store_module
from sillar.documents.store.sqlite import SqliteStore
from sillar.errors import DocumentError
from tests.documents.kill_jobs import SCENARIOS, Scenario

_FILE_CALLS = ("replace", "rename", "symlink", "unlink", "fsync", "mkdir", "rmdir", "truncate")
_OTHERS = ("SELECT", "PRAGMA", "--")
"""Statements that write nothing, and those that a statement runs inside of it."""


class InProcessParser:
    """The parser without its child process: text alone, and fast."""

    def __init__(self, limits: object = None) -> None:
        pass

    async def __aenter__(self) -> InProcessParser:
        return self

    async def __aexit__(self, *exception: object) -> None:
        pass

    async def parse(self, path: Path, name: str = "") -> ParsedFile:
        data = path.read_bytes()  # noqa: ASYNC240  the less threads, the faster
        if not data:
            raise DocumentError("It is empty.", "empty")
        return ParsedFile(parse_text(data), hashlib.sha256(data).hexdigest())


class Fuse:
    """Kills the process, as kill -9 does, once it is called after `left` other calls."""

    def __init__(self, left: int) -> None:
        self.left = left

    def __call__(self) -> None:
        self.left -= 1
        if self.left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def lay(self) -> None:
        """Calls it before every statement that writes, every change of a folder, and every close."""
        for name in _FILE_CALLS:
            setattr(os, name, self._before(getattr(os, name)))
        connect = store_module.connect

        def traced(path: Path) -> sqlite3.Connection:
            connection = connect(path)
            connection.set_trace_callback(lambda sql: None if sql.startswith(_OTHERS) else self())
            return connection

        store_module.connect = traced  # type: ignore[attr-defined]
        SqliteStore.close = self._before(SqliteStore.close)  # type: ignore[method-assign]

    def _before(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any, **options: Any) -> Any:
            self()
            return function(*arguments, **options)

        return called


def forked(work: Callable[[Callable[[str], None]], None]) -> tuple[int, list[str]]:
    """The exit status of a child that does `work`, and the lines that it told."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reading)
            work(lambda line: os.write(writing, f"{line}\n".encode()) and None)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        lines = pipe.read().splitlines()
    return os.waitpid(child, 0)[1], lines


def content(path: Path) -> dict[str, str]:
    """What an index says, by source and path, whatever the numbers of its rows. Raises AssertionError where
    something belongs to no document, or is missing.
    """
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
        return {}  # killed before its tables were committed
    names = dict(connection.execute("SELECT name, id FROM collections").fetchall())
    for number in names.values():
        connection.execute(f"INSERT INTO words_{number} (words_{number}) VALUES ('integrity-check')")
    found: dict[str, str] = {}
    words = 0
    rows = connection.execute(
        "SELECT s.location, d.path, d.id, d.collection, d.title, d.size, d.hash, d.reason, d.text"
        " FROM documents d JOIN sources s ON s.id = d.source_id"
    ).fetchall()
    for location, name, document, collection, *facts in rows:
        said = hashlib.sha256(repr(facts).encode())
        chunks = connection.execute(
            "SELECT id, ordinal, start, stop, headings, text, vector, collection FROM chunks"
            " WHERE document_id = ? ORDER BY ordinal",
            (document,),
        ).fetchall()
        for chunk, *cells in chunks:
            query = f"SELECT exact, stemmed, headings FROM words_{names[collection]} WHERE rowid = ?"
            indexed = connection.execute(query, (chunk,)).fetchone()
            said.update(repr((cells, indexed)).encode())
        words += len(chunks)
        found[f"{location} {os.fsdecode(name)}"] = said.hexdigest()
    assert words == connection.execute("SELECT count(*) FROM chunks").fetchone()[0]
    tables = [f"SELECT count(*) FROM words_{number}" for number in names.values()]
    assert words == sum(connection.execute(table).fetchone()[0] for table in tables)
    connection.close()
    return found


class Runner:
    """One scenario in one folder."""

    def __init__(self, scenario: Scenario, folder: Path) -> None:
        self.scenario = scenario
        self.work = folder / "work"
        self.saved = folder / "saved"
        self.path = self.work / "index" / "i.db"
        self.finished: set[str] = set()

    def run(self) -> int:
        """How many kills there were."""
        self.work.mkdir()
        forked(lambda tell: asyncio.run(self.scenario.prepare(self.work)))
        shutil.copytree(self.work, self.saved, symlinks=True)
        before = self._state()
        forked(self._job)
        after = self._state()
        assert before[0] != after[0]
        for kills in range(10_000):
            shutil.rmtree(self.work)
            shutil.copytree(self.saved, self.work, symlinks=True)
            status, reported = forked(partial(self._killed, kills))
            if status == 0:
                return kills
            assert status == signal.SIGKILL, (kills, status)
            status, lines = forked(partial(self._look, before[0], after, reported))
            assert status == 0, f"after {kills} writes"
            self.finished.update(lines)
        raise AssertionError("it never came through")

    def _look(
        self, before: dict[str, str], after: tuple[dict[str, str], list[str]], reported: list[str],
        tell: Callable[[str], None],
    ) -> None:  # fmt: skip
        """What a killed run left is whole, holds what it reported, and is finished by a second run: once for
        all writes before which the same was committed.
        """
        left, _files = self._read()
        assert all(said in {before.get(name), after[0].get(name)} for name, said in left.items())
        assert left.keys() >= before.keys() & after[0].keys()
        assert not self.scenario.at_one_stroke or left in (before, after[0])
        asyncio.run(self.scenario.check(self.work, reported))
        state = self._committed()
        if state in self.finished:
            return
        tell(state)
        self._job(lambda line: None)
        assert self._read() == after

    def _read(self) -> tuple[dict[str, str], list[str]]:
        """The index's content, and the names beside it: what nothing refers to any more would show there."""
        paths = [path.relative_to(self.work).as_posix() for path in self.work.rglob("*")]
        kept = sorted(path for path in paths if not path.endswith(("-wal", "-shm", ".lock")))
        return content(self.path) if self.path.exists() else {}, kept

    def _committed(self) -> str:
        """A hash of every row of every table and of every file."""
        said = hashlib.sha256()
        for path in sorted(path for path in self.work.rglob("*") if path.is_file()):
            if path.name.endswith(("-wal", "-shm")):
                continue
            said.update(os.fsencode(path.relative_to(self.work)))
            data = path.read_bytes()
            if data.startswith(b"SQLite format 3") or Path(f"{path}-wal").exists():
                connection = sqlite3.connect(path)
                data = "\n".join(connection.iterdump()).encode("utf-8", "replace")
                connection.close()
            said.update(data)
        return said.hexdigest()

    def _state(self) -> tuple[dict[str, str], list[str]]:
        """The same, read by a child: this process never opens a database or starts a thread."""
        status, lines = forked(lambda tell: tell(json.dumps(self._read())))
        assert status == 0
        said, names = json.loads(lines[0])
        return said, names

    def _job(self, tell: Callable[[str], None]) -> None:
        asyncio.run(self.scenario.job(self.work, tell))

    def _killed(self, kills: int, tell: Callable[[str], None]) -> None:
        Fuse(kills).lay()
        self._job(tell)


def main() -> None:
    for module in (folder_job, web, web_copy):
        module.FileParser = InProcessParser  # type: ignore[attr-defined,assignment]
    folder_job.BATCH_CHUNKS = 1
    print(Runner(SCENARIOS[sys.argv[1]], Path(sys.argv[2])).run())


if __name__ == "__main__":
    main()
