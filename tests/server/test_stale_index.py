"""`sillar serve DIR` on an index that is out of date: the old one answers while the new one is built."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from sillar.documents import default_index_path
from sillar.server.auth import LOCAL
from sillar.server.options import ServerOptions
from sillar.server.run import _library
from sillar.server.state import ServerState
from tests.documents.fakes import WordEmbedder, open_index


class Waiting(WordEmbedder):
    """Another embedder, which embeds no passage before `go`."""

    def __init__(self) -> None:
        super().__init__("words:2")
        self.begun, self.go = asyncio.Event(), asyncio.Event()

    async def embed(self, texts: Sequence[str], kind: Literal["query", "passage"]) -> NDArray[np.float32]:
        if kind == "passage":
            self.begun.set()
            await self.go.wait()
        return await super().embed(texts, kind)


@pytest.fixture
async def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With one document and an index of another embedder."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "pump.md").write_text("# Pump\n\nThe pump runs at forty bar.\n")
    async with open_index(default_index_path(folder)) as index:
        await index.add_folder(folder)
    return folder


async def test_the_old_index_answers_while_the_new_one_is_built(folder: Path) -> None:
    (folder / "valve.md").write_text("# Valve\n\nThe valve opens at noon.\n")
    said: list[str] = []
    embedder = Waiting()
    state = ServerState(ServerOptions(documents=folder), {}, {"e": embedder}, None)  # type: ignore[dict-item]
    async with asyncio.timeout(120), _library(state, said.append) as library:
        assert library is not None
        assert "words:1" in said[0]
        assert "answers as it is" in said[1]
        await embedder.begun.wait()
        assert library.index.stale
        assert [info.path for info in await library.documents(LOCAL)] == ["pump.md"]
        assert [p.document for p in await library.index.search("How many bar?")] == ["pump.md"]
        embedder.go.set()
        while len(said) < 3:  # noqa: ASYNC110  an event only for tests would be more to keep
            await asyncio.sleep(0.01)
        assert "2 documents" in said[2]
        assert not library.index.stale
        assert (await library.index.search("When does the valve open?"))[0].document == "valve.md"


async def test_what_ends_the_rebuild_is_said_and_the_old_index_stays(folder: Path, tmp_path: Path) -> None:
    await asyncio.to_thread(folder.rename, tmp_path / "away")
    said: list[str] = []
    embedder = WordEmbedder("words:2")
    state = ServerState(ServerOptions(documents=folder), {}, {"e": embedder}, None)  # type: ignore[dict-item]
    async with asyncio.timeout(120), _library(state, said.append) as library:
        assert library is not None
        while len(said) < 3:  # noqa: ASYNC110  as above
            await asyncio.sleep(0.01)
        assert "is not a folder" in said[2]
        assert [p.document for p in await library.index.search("How many bar?")] == ["pump.md"]
