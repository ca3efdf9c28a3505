"""readers: a folder as a collection of an index, and who may read it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from sillar.documents import Index
from sillar.documents.store.protocol import Access
from tests.cli.test_app import run
from tests.cli.test_documents import FakeEmbedder, folder

__all__ = ["folder"]


async def found(path: Path, *names: str) -> list[str]:
    async with Index.open(path, FakeEmbedder()) as index:
        access = await index.access(*names, always=("",))
        assert access != Access()
        return [passage.document for passage in await index.search("valve opens at noon", 5, access)]


def test_readers_of_a_folder_s_collection(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    valves, path = tmp_path / "valves", tmp_path / "i.db"
    valves.mkdir()
    (valves / "valve.md").write_text("# The valve\n\nIt opens at noon.\n")
    here = (str(folder), "--index", str(path))
    assert run("readers", *here) == 4
    assert run("index", *here) == 0
    assert run("index", str(valves), "--index", str(path), "--collection", "valves") == 0
    assert asyncio.run(found(path, "ana")) == ["pump.md"]
    assert run("readers", *here[:1], "valves", *here[1:], "--allow", "ana", "--allow", "bob") == 0
    assert asyncio.run(found(path, "ana"))[0] == "valve.md"
    assert asyncio.run(found(path, "eve")) == ["pump.md"]
    assert run("readers", *here[:1], "valves", *here[1:], "--deny", "ana", "--json") == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out.splitlines()[-1]) == {"valves": ["bob"]}
    assert asyncio.run(found(path, "ana")) == ["pump.md"]
    assert run("readers", *here) == 0
    assert capsys.readouterr().out.splitlines() == ["(the folder itself): everyone", "valves: bob"]


def test_mistakes_are_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("index", str(folder)) == 0
    assert run("readers", str(folder), "none", "--allow", "ana") == 2
    assert "there is no collection 'none'" in capsys.readouterr().err
    assert run("readers", str(folder), "none") == 2
    assert run("readers", str(folder), "--allow", "ana") == 2
    assert run("readers", str(folder), "", "--allow", "ana") == 2
