"""kill -9 at every write: before each statement that writes, each commit, each change of a folder.

And at every write of SQLite's own: its log cut after each page that it holds.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.documents.fakes import open_index
from tests.documents.kill_jobs import text, write
from tests.documents.kill_runner import content

WRITES = {"index": 50, "changes": 60, "pages": 100, "rebuild": 100}


@pytest.fixture(scope="module")
def runners(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, subprocess.Popen[str]]]:
    """Every scenario in a process of its own, all at once: each is busy on one core only."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "1"}
    started = {}
    for scenario in WRITES:
        command = [sys.executable, "-m", "tests.documents.kill_runner", scenario]
        command.append(str(tmp_path_factory.mktemp(scenario)))
        started[scenario] = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
    yield started
    for process in started.values():
        process.kill()
        process.wait()


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("scenario", WRITES)
def test_whatever_write_is_the_last_nothing_is_lost_or_half(
    runners: dict[str, subprocess.Popen[str]], scenario: str
) -> None:
    said, wrong = runners[scenario].communicate()
    assert runners[scenario].returncode == 0, wrong
    assert int(said) > WRITES[scenario]


_FRAME_HEAD, _HEAD = 24, 32


async def test_a_log_that_ends_anywhere_holds_whole_documents(tmp_path: Path) -> None:
    """A process that dies while SQLite commits leaves a beginning of its log, and maybe a part of a page."""
    folder = write(tmp_path, apple=text("apple"), pear=text("pear"))
    path = tmp_path / "index" / "i.db"
    async with open_index(path) as index:
        await index.add_folder(folder)
    before = content(path)
    write(tmp_path, apple=text("apple", "new"), plum=text("plum"))
    (folder / "pear.txt").unlink()
    async with open_index(path) as index:
        await index.add_folder(folder)
        shutil.copytree(path.parent, tmp_path / "open")  # before closing takes the log over
    after = content(path)
    assert before != after
    log = (tmp_path / "open" / "i.db-wal").read_bytes()
    frame = _FRAME_HEAD + int.from_bytes(log[8:12], "big")
    assert (len(log) - _HEAD) % frame == 0
    states = set()
    for end in (*range(_HEAD, len(log) + 1, frame), *range(_HEAD + frame // 2, len(log), frame)):
        cut = tmp_path / "cut"
        shutil.rmtree(cut, ignore_errors=True)
        cut.mkdir()
        shutil.copy(tmp_path / "open" / "i.db", cut)
        (cut / "i.db-wal").write_bytes(log[:end])
        left = content(cut / "i.db")
        assert all(said in {before.get(name), after.get(name)} for name, said in left.items())
        states.add(tuple(sorted(left.items())))
    assert {tuple(sorted(state.items())) for state in (before, after)} <= states
