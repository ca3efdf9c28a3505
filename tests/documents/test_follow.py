"""A followed folder: what settled is taken, what is being written waits, no trouble empties the index.

Steps are made by hand.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from sillar.documents import FileChange, Follower, Index
from sillar.documents.follow import Look, look_at
from sillar.documents.journal import Journal
from sillar.errors import DocumentError
from sillar.server.auth import LOCAL
from sillar.server.library import Library
from tests.documents.fakes import open_index


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "docs"
    (root / "sub").mkdir(parents=True)
    (root / "printer.txt").write_text("The printer needs a new cartridge every month.\n")
    (root / "sub" / "vpn.md").write_text("# VPN\n\nThe VPN password expires after 90 days.\n")
    return root


async def following(index: Index, folder: Path) -> tuple[Follower, list[str]]:
    """A follower that has taken its first looks, and what it tells from then on."""
    told: list[str] = []
    await index.add_folder(folder)
    follower = Follower(index, folder, lambda change: told.append(str(change)))
    await steps(follower, 2)
    assert told == []
    return follower, told


async def steps(follower: Follower, count: int) -> None:
    for _ in range(count):
        await follower.step()


async def test_every_kind_of_change_is_followed_and_told(folder: Path, tmp_path: Path) -> None:
    (folder / "old.txt").write_text("Nobody reads this.\n")
    async with open_index(tmp_path / "i.db") as index:
        follower, told = await following(index, folder)
        (folder / "new.txt").write_text("The canteen opens at noon.\n")
        (folder / "printer.txt").write_text("The printer was replaced by a plotter of great size.\n")
        (folder / "sub" / "vpn.md").rename(folder / "moved.md")
        (folder / "old.txt").unlink()
        (folder / "bad.pdf").write_bytes(b"%PDF-1.7 rubbish")
        await steps(follower, 2)
        assert told[0].startswith("not read: bad.pdf: ")
        assert told[1:] == [
            "moved: sub/vpn.md -> moved.md", "added: new.txt", "changed: printer.txt", "deleted: old.txt",
        ]  # fmt: skip
        assert (await index.search("When does the canteen open?", 1))[0].document == "new.txt"
        assert (await index.search("VPN password", 1))[0].document == "moved.md"
        await steps(follower, 3)
        assert len(told) == 5
        (folder / "bad.pdf").unlink()
        (folder / "bad.txt").write_text("Good at last.\n")
        await steps(follower, 2)
        assert told[5:] == ["added: bad.txt", "deleted: bad.pdf"]


async def test_a_file_that_is_being_written_waits_and_the_others_do_not(folder: Path, tmp_path: Path) -> None:
    async with open_index(tmp_path / "i.db") as index:
        follower, told = await following(index, folder)
        (folder / "whole.txt").write_text("The canteen opens at noon.\n")
        for lines in range(1, 5):
            (folder / "growing.txt").write_text("A line of the report.\n" * lines)
            await follower.step()
        assert told == ["added: whole.txt"]
        await follower.step()
        assert told == ["added: whole.txt", "added: growing.txt"]


async def test_a_change_between_indexing_and_the_first_look_is_taken(folder: Path, tmp_path: Path) -> None:
    told: list[FileChange] = []
    async with open_index(tmp_path / "i.db") as index:
        await index.add_folder(folder)
        (folder / "new.txt").write_text("The canteen opens at noon.\n")
        await steps(Follower(index, folder, told.append), 2)
    assert told == [FileChange("added", "new.txt")]


async def test_a_folder_that_goes_away_for_a_while_keeps_its_index(folder: Path, tmp_path: Path) -> None:
    async with open_index(tmp_path / "i.db") as index:
        follower, told = await following(index, folder)
        away = folder.rename(tmp_path / "away")  # noqa: ASYNC240
        await steps(follower, 3)
        assert told == [f"waiting for: {folder}: No such file or directory"]
        assert (await index.search("VPN password", 1))[0].document == "sub/vpn.md"
        away.rename(folder)
        (folder / "printer.txt").unlink()
        await steps(follower, 2)
        assert told[1:] == ["deleted: printer.txt"]


async def test_a_share_that_is_not_mounted_is_not_an_emptied_folder(folder: Path, tmp_path: Path) -> None:
    mounted = [True]

    def look(root: Path) -> Look:
        return look_at(root) if mounted[0] else Look({}, -1)

    told: list[str] = []
    async with open_index(tmp_path / "i.db") as index:
        await index.add_folder(folder)
        follower = Follower(index, folder, lambda change: told.append(str(change)), look=look)
        await steps(follower, 2)
        mounted[0] = False
        await steps(follower, 3)
        assert len(told) == 1
        assert "not mounted" in told[0]
        mounted[0] = True
        await steps(follower, 2)
        assert len(told) == 1
        (folder / "printer.txt").unlink()
        (folder / "sub" / "vpn.md").unlink()
        await steps(follower, 2)
        assert told[1:] == ["deleted: printer.txt", "deleted: sub/vpn.md"]


async def test_a_folder_that_cannot_be_listed_is_left_as_it_is_known(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scandir = os.scandir

    def refusing(path: str) -> object:
        if path.endswith("sub"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    async with open_index(tmp_path / "i.db") as index:
        follower, told = await following(index, folder)
        with monkeypatch.context() as patch:
            patch.setattr(os, "scandir", refusing)
            await steps(follower, 3)
            assert (await index.add_folder(folder)).deleted == 0
        await steps(follower, 2)
        assert told == []
        assert (await index.search("VPN password", 1))[0].document == "sub/vpn.md"


async def test_what_fails_is_told_once_and_tried_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_index(tmp_path / "i.db") as index:
        follower, told = await following(index, folder)
        (folder / "new.txt").write_text("The canteen opens at noon.\n")

        async def busy(*arguments: object, **options: object) -> None:
            raise ExceptionGroup("reading", [DocumentError("The index is being rebuilt by another process.")])

        with monkeypatch.context() as patch:
            patch.setattr(index, "add_folder", busy)
            await steps(follower, 4)
        assert told == [f"waiting for: {folder}: The index is being rebuilt by another process."]
        await follower.step()
        assert told[1:] == ["added: new.txt"]


async def test_a_mistake_of_the_program_is_not_taken_for_trouble(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_index(tmp_path / "i.db") as index:
        follower, _ = await following(index, folder)
        (folder / "new.txt").write_text("The canteen opens at noon.\n")

        async def wrong(*arguments: object, **options: object) -> None:
            raise ExceptionGroup("reading", [DocumentError("busy"), TypeError("no")])

        monkeypatch.setattr(index, "add_folder", wrong)
        with pytest.raises(ExceptionGroup):
            await steps(follower, 2)


async def test_a_library_follows_until_it_is_closed(folder: Path, tmp_path: Path) -> None:
    ended = asyncio.Event()
    ready = asyncio.Event()

    class Driven(Follower):
        async def run(self) -> None:  # type: ignore[override]
            await steps(self, 2)
            ready.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

    said: list[str] = []
    library = Library(open_index(tmp_path / "i.db"), Journal(tmp_path / "j.db"), folder, tmp_path / "uploads")
    library.follow(Driven(library.index, folder, lambda change: said.append(str(change))), said.append)
    await ready.wait()
    assert said == ["added: printer.txt", "added: sub/vpn.md"]
    assert len(await library.documents(LOCAL)) == 2
    await library.close()
    assert ended.is_set()
    assert len(said) == 2


async def test_a_follower_that_breaks_says_so_and_the_library_goes_on(folder: Path, tmp_path: Path) -> None:
    class Broken(Follower):
        async def run(self) -> None:  # type: ignore[override]
            raise TypeError("no")

    said: list[str] = []
    told = asyncio.Event()

    def say(line: str) -> None:
        said.append(line)
        told.set()

    library = Library(open_index(tmp_path / "i.db"), Journal(tmp_path / "j.db"), folder, tmp_path / "uploads")
    library.follow(Broken(library.index, folder, lambda change: None), say)
    await told.wait()
    assert "no longer followed" in said[0]
    assert await library.documents(LOCAL) == []
    await library.close()
