"""A folder becomes an index that follows it: added, changed, moved, deleted, failed, resumed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sillar.documents import IndexProgress
from sillar.documents import index as index_module
from sillar.documents.index import default_index_path
from sillar.documents.store.protocol import Access
from sillar.errors import DocumentError
from tests.documents.fakes import WordEmbedder, open_index


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "docs"
    (root / "sub").mkdir(parents=True)
    (root / "printer.txt").write_text(
        "The printer needs a new cartridge every month.\n\nCall 555 for help.\n"
    )
    (root / "sub" / "vpn.md").write_text("# VPN\n\n## Passwords\n\nThe VPN password expires after 90 days.\n")
    (root / "page.html").write_text(
        "<h1>Canteen</h1><p>The canteen opens at noon.</p><script>evil()</script>"
    )
    return root


async def test_a_question_finds_its_passage_with_its_place(folder: Path, tmp_path: Path) -> None:
    async with open_index(tmp_path / "i.db") as index:
        report = await index.add_folder(folder)
        assert (report.read, report.failed) == (3, {})
        found = (await index.search("When does the VPN password expire?", 2))[0]
    assert found.document == "sub/vpn.md"
    assert found.headings == ("VPN", "Passwords")
    assert [place.lines for place in found.places] == [(5, 5)]
    assert "90 days" in found.text


async def test_only_changes_are_embedded_again(folder: Path, tmp_path: Path) -> None:
    embedder = WordEmbedder()
    async with open_index(tmp_path / "i.db", embedder) as index:
        await index.add_folder(folder)
        first = embedder.embedded
        (folder / "printer.txt").write_text("The printer was replaced by a plotter.\n")
        os.utime(folder / "page.html", ns=(1, 1))
        (folder / "sub" / "vpn.md").rename(folder / "moved.md")
        report = await index.add_folder(folder)
        assert (report.read, report.unchanged, report.moved, report.deleted) == (1, 1, 1, 0)
        assert embedder.embedded == first + 1
        assert (await index.search("VPN password", 1))[0].document == "moved.md"
        assert not any("cartridge" in p.text for p in await index.search("printer cartridge", 5))
        (folder / "moved.md").unlink()
        report = await index.add_folder(folder)
        assert report.deleted == 1
        assert all(p.document != "moved.md" for p in await index.search("VPN password", 5))
        again = await index.add_folder(folder)
        assert (again.read, again.unchanged) == (0, 2)


async def test_a_bad_file_is_marked_and_stops_nothing(folder: Path, tmp_path: Path) -> None:
    (folder / "bad.pdf").write_bytes(b"%PDF-1.7 rubbish")
    (folder / "empty.txt").write_bytes(b"")
    (folder / "binary.txt").write_bytes(bytes(range(256)) * 100)
    seen: list[IndexProgress] = []
    async with open_index(tmp_path / "i.db") as index:
        report = await index.add_folder(folder, seen.append)
        assert set(report.failed or ()) == {"bad.pdf", "empty.txt", "binary.txt"}
        assert "empty" in (report.failed or {})["empty.txt"]
        assert "binary" in (report.failed or {})["binary.txt"]
        counts = await index.counts()
        assert (counts.documents, counts.failed) == (3, 3)
        assert [p.done for p in seen] == list(range(1, 7))
        assert (await index.add_folder(folder)).unchanged == 6
        (folder / "empty.txt").write_text("No longer empty: the answer is forty-two.")
        assert (await index.add_folder(folder)).read == 1


async def test_collections_are_filtered_before_the_best_are_chosen(folder: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    for number in range(30):
        (secret / f"{number}.txt").write_text(
            f"canary-{number} the canteen opens at noon, canteen canteen noon"
        )
    async with open_index(tmp_path / "i.db") as index:
        await index.add_folder(folder, collection="public")
        await index.add_folder(secret, collection="secret")
        for question in ("When does the canteen open?", "canary-7", "noon"):
            found = await index.search(question, 5, Access(frozenset({"public"})))
            assert found
            assert all("canary" not in p.text for p in found)
            assert found[0].document == "page.html" or "canary" in question
        assert not await index.search("canteen", 5, Access(frozenset()))
        assert "canary" in (await index.search("canary-7 canteen", 1))[0].text


async def test_no_index_file_is_a_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    path.write_bytes(b"this is no database at all" * 100)
    with pytest.raises(DocumentError, match="no index"):
        open_index(path)
    async with open_index(tmp_path / "i.db") as index:
        with pytest.raises(DocumentError, match="not a folder"):
            await index.add_folder(tmp_path / "absent")


def test_the_index_lies_outside_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    path = default_index_path(tmp_path / "my docs")
    assert path.is_relative_to(tmp_path / "data")
    assert path == default_index_path(tmp_path / "my docs")
    assert path != default_index_path(tmp_path / "other")


async def test_two_processes_see_each_others_changes(folder: Path, tmp_path: Path) -> None:
    async with open_index(tmp_path / "i.db") as one, open_index(tmp_path / "i.db") as two:
        await one.add_folder(folder)
        assert (await two.search("canteen", 1))[0].document == "page.html"
        (folder / "page.html").unlink()
        await one.add_folder(folder)
        assert all(p.document != "page.html" for p in await two.search("canteen", 5))


async def test_vectors_read_ahead_change_no_answer(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_module, "_WARM_ROWS", 2)
    question = "When does the VPN password expire?"
    async with open_index(tmp_path / "i.db") as index:
        await index.add_folder(folder)
        expected = await index.search(question, 5)
    async with open_index(tmp_path / "i.db") as warm:
        await warm.warm()
        assert await warm.search(question, 5) == expected
        (folder / "sub" / "vpn.md").unlink()
        await warm.add_folder(folder)
        await warm.warm()
        assert "sub/vpn.md" not in [passage.document for passage in await warm.search(question, 5)]
