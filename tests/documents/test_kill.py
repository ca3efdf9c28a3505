"""kill -9 at random moments of indexing: what is committed is whole, and the next run finishes the work."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

from tests.documents.fakes import WordEmbedder, open_index

_CHILD = """
import asyncio, sys
from pathlib import Path
from tests.documents.fakes import WordEmbedder, open_index
async def main():
    async with open_index(Path(sys.argv[1]), WordEmbedder(sys.argv[3])) as index:
        print("open", flush=True)
        await index.add_folder(Path(sys.argv[2]), lambda step: print(step.done, flush=True))
asyncio.run(main())
"""
_FILES = 90
_PARAGRAPHS = 6


def make_folder(root: Path) -> None:
    root.mkdir()
    words = [f"word{n}" for n in range(400)]
    chosen = random.Random(7)
    for number in range(_FILES):
        parts = [
            f"Heading {n}\n=========\n\n{' '.join(chosen.choices(words, k=80))}." for n in range(_PARAGRAPHS)
        ]
        (root / f"{number:03}.txt").write_text("\n\n".join(parts))


def check_whole(path: Path) -> int:
    """Every stored document has all its chunks, words and vectors; nothing lies around without a document."""
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    rows = connection.execute(
        "SELECT d.id, count(c.id) FROM documents d LEFT JOIN chunks c ON c.document_id = d.id GROUP BY d.id"
    ).fetchall()
    assert all(count == _PARAGRAPHS for _, count in rows)
    chunks = connection.execute("SELECT count(*) FROM chunks").fetchone()[0]
    assert chunks == len(rows) * _PARAGRAPHS
    tables = [f"words_{row[0]}" for row in connection.execute("SELECT id FROM collections")]
    words = sum(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables)
    assert words == chunks
    connection.close()
    return len(rows)


def kill_a_run(path: Path, folder: Path, after: float, embedder: str = "words:1") -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD, str(path), str(folder), embedder],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert child.stdout is not None
    child.stdout.readline()
    time.sleep(after)
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()


async def test_killed_runs_and_rebuilds_leave_no_half_document_and_are_resumed(tmp_path: Path) -> None:
    folder, path = tmp_path / "docs", tmp_path / "i.db"
    make_folder(folder)
    chosen = random.Random(11)
    for _ in range(3):
        kill_a_run(path, folder, chosen.uniform(0.0, 0.6))
        check_whole(path)
    async with open_index(path) as index:
        before = check_whole(path)
        report = await index.add_folder(folder)
        assert report.read == _FILES - before
        assert report.unchanged == before
    assert check_whole(path) == _FILES
    for _ in range(2):
        kill_a_run(path, folder, chosen.uniform(0.0, 0.6), "words:2")
        assert check_whole(path) == _FILES
    async with open_index(path, WordEmbedder("words:2")) as index:
        await index.add_folder(folder)
        assert not index.stale
        assert not await index.jobs()
    assert check_whole(path) == _FILES
