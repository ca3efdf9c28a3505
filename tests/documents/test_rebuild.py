"""A new embedder, new parsers or an older file: the index is built anew beside itself while the old
one answers.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from sillar.documents.document import Document
from sillar.documents.index import Index
from sillar.documents.ingest.text import parse_text
from sillar.documents.store import sqlite as store_module
from sillar.documents.store.protocol import EVERYTHING, Access
from sillar.documents.store.schema import OlderIndexError
from sillar.errors import DocumentError
from tests.documents.fakes import WordEmbedder, numpy_kernels, open_index


class Failing(WordEmbedder):
    """Breaks off after some texts, as a killed process would."""

    def __init__(self, fingerprint: str, texts: int) -> None:
        super().__init__(fingerprint)
        self.left = texts

    async def embed(self, texts: Sequence[str], kind: Literal["query", "passage"]) -> NDArray[np.float32]:
        if kind == "passage":
            self.left -= len(texts)
            if self.left < 0:
                raise RuntimeError("cut off")
        return await super().embed(texts, kind)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "docs"
    root.mkdir()
    for n in range(150):
        (root / f"{n:03}.txt").write_text(f"Article {n} speaks of subject{n}.")
    return root


def open_with(path: Path, embedder: WordEmbedder, *, update: bool = False) -> Index:
    return Index.open(path, embedder, kernels=numpy_kernels(), update=update)


async def found(index: Index, question: str, access: Access = EVERYTHING) -> list[str]:
    return [passage.document for passage in await index.search(question, 10, access)]


async def test_another_embedder_rebuilds_in_the_shadow(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "i.db"
    async with open_index(path) as index:
        await index.add_folder(folder, collection="shelf")
        await index.add_documents(
            "notes", [("n.txt", parse_text(b"The wifi key is on the door."))], collection="n"
        )
        await index.set_readers("shelf", ["ana"])
    new = Failing("words:2", 70)
    async with open_with(path, new) as index:
        assert "words:1" in index.stale
        assert "007.txt" in await found(index, "subject7")
        with pytest.raises(ExceptionGroup):
            await index.add_folder(folder, collection="shelf")
        assert "149.txt" in await found(index, "subject149")
    async with (
        open_with(path, WordEmbedder("words:2")) as index,
        open_with(path, WordEmbedder("words:2")) as other,
    ):
        assert index.stale
        report = await index.add_folder(folder, collection="shelf")
        assert not index.stale
        assert report.unchanged == 150
        assert index.embedder.embedded < 150, "what the first attempt had brought is kept"
        assert "007.txt" in await found(index, "subject7")
        assert "n.txt" in await found(index, "wifi key on the door")
        assert await index.access("ana") == Access(frozenset({"shelf"}))
        assert "008.txt" in await found(other, "subject8")
        assert not other.stale, "a process that had it open goes over"
    assert sorted(os.listdir(tmp_path)) == ["docs", "i.db", "i.db.lock", "i.g1.db"]
    async with open_with(path, WordEmbedder("words:3")) as index:
        await index.add_folder(folder, collection="shelf")
        assert not index.stale
    assert sorted(os.listdir(tmp_path)) == ["docs", "i.db", "i.db.lock", "i.g2.db"]


async def test_new_parsers_read_again(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "i.db"
    async with open_index(path) as index:
        await index.add_folder(folder)
    monkeypatch.setattr(store_module, "PIPELINE_VERSION", 99)
    async with open_index(path) as index:
        assert "parsers" in index.stale
        found = (await index.search("subject7", 1))[0]
        assert found.similarity > 0, "its vectors still count"
        await index.add_folder(folder)
        assert not index.stale
        assert (await index.counts()).documents == 150


async def test_an_older_file_is_built_anew_from_its_sources(folder: Path, tmp_path: Path) -> None:
    path, uploads = tmp_path / "i.db", tmp_path / "uploads"
    uploads.mkdir()
    (uploads / "own.txt").write_text("Only Ana knows this canary.")
    old = sqlite3.connect(path)
    old.executescript(
        "CREATE TABLE sources (id INTEGER PRIMARY KEY, location TEXT);"
        "CREATE TABLE documents (id INTEGER PRIMARY KEY, source_id INTEGER, path BLOB, collection TEXT);"
        "PRAGMA user_version = 1;"
    )
    old.execute("INSERT INTO sources VALUES (1, ?), (2, ?)", (str(folder), str(uploads)))
    old.execute("INSERT INTO documents VALUES (1, 1, x'30', ''), (2, 2, x'30', 'tenant:ana')")
    old.commit()
    old.close()
    with pytest.raises(OlderIndexError, match="again"):
        open_index(path)
    async with open_with(path, WordEmbedder(), update=True) as index:
        await index.add_folder(folder)
        assert (await index.counts()).documents == 151
        assert "own.txt" in await found(index, "canary", Access(frozenset({"tenant:ana"})))
        assert "own.txt" not in await found(index, "canary", Access(frozenset({""})))


async def test_a_newer_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "i.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 1000")
    connection.close()
    with pytest.raises(DocumentError, match="newer"):
        open_with(path, WordEmbedder(), update=True)


async def test_stages_and_reasons_are_seen(folder: Path, tmp_path: Path) -> None:
    (folder / "bad.docx").write_bytes(b"no package")
    seen: list[set[str]] = []
    async with open_index(tmp_path / "i.db") as index:

        class Watching(WordEmbedder):
            async def embed(
                self, texts: Sequence[str], kind: Literal["query", "passage"]
            ) -> NDArray[np.float32]:
                seen.append({job.stage for job in await index.jobs()})
                assert await index.jobs(Access(frozenset({"other"}))) == []
                return await super().embed(texts, kind)

        index.embedder = Watching()
        await index.add_folder(folder, collection="shelf")
        assert await index.jobs() == []
        bad = [info for info in index.store.documents(Access()) if info.failed]
    assert set().union(*seen) >= {"found", "embedding"}
    assert [(info.path, info.kind) for info in bad] == [("bad.docx", "damaged")]


def test_documents_keep_their_notes() -> None:
    document = Document("text", (), notes=("pages 3: no text",), unread=(3,))
    assert Document.from_json(document.to_json()).notes == ("pages 3: no text",)
