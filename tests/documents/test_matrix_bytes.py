"""How much memory the vectors of an index will take is known before it is opened."""

from __future__ import annotations

from pathlib import Path

import pytest

from sillar.documents.store import vectors
from tests.documents.fakes import DIM, open_index


async def test_of_an_index_that_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "_LEAST_GROWTH", 0)
    folder = tmp_path / "docs"
    folder.mkdir()
    for number in range(4):
        (folder / f"{number}.md").write_text(f"# Part {number}\n\nWe open at {number} on weekdays.\n")
    index = open_index(tmp_path / "an index.db")
    await index.add_folder(folder)
    chunks = (await index.counts()).chunks
    await index.close()
    assert vectors.matrix_bytes(tmp_path / "an index.db") == chunks * 2 * DIM * 3 // 2 * 17 // 8


def test_of_one_that_is_not_there_or_broken(tmp_path: Path) -> None:
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"x" * 5000)
    for path in (broken, tmp_path / "none.db", tmp_path):
        assert vectors.matrix_bytes(path) == 32 << 20
