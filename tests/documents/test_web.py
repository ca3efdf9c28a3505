"""Pages of the web in the index: cited by their address, embedded again only where they changed, kept where
they cannot be had, and carried into the next generation of the index.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from sillar.documents import Index, WebPages
from sillar.documents.store import sqlite as store_module
from sillar.documents.store.protocol import EVERYTHING, Access
from sillar.errors import ConfigError
from tests.documents.fakes import WordEmbedder, numpy_kernels, open_index
from tests.documents.web_site import Page, Site, html, redirect, site


@pytest.fixture
def web() -> Iterator[Site]:
    with site(
        pump=html("The pump runs at forty bar.", "Pump"), valve=html("The valve opens at noon.")
    ) as served:
        for page in served.pages.values():
            page.headers["ETag"] = '"1"'
        yield served


@pytest.fixture
async def index(tmp_path: Path) -> AsyncIterator[Index]:
    async with open_index(tmp_path / "i.db") as opened:
        yield opened


async def found(index: Index, question: str, access: Access = EVERYTHING) -> list[str]:
    return [passage.document for passage in await index.search(question, 10, access)]


async def fetched(pages: WebPages, *urls: str) -> tuple[int, int, dict[str, str]]:
    """(read, unchanged, failed) of a run."""
    report = await pages.fetch(await pages.queue(urls) if urls else list(await pages.known()))
    return report.read, report.unchanged, report.failed or {}


async def test_pages_are_found_and_cited_by_their_address(index: Index, web: Site) -> None:
    pages = WebPages(index, web.rules())
    assert await fetched(pages, f"{web.url}/pump#top", f"{web.url}/valve", f"{web.url}/pump") == (2, 0, {})
    passage = (await index.search("At how many bar does the pump run?", 1))[0]
    assert (passage.document, passage.title) == (f"{web.url}/pump", "Pump")
    assert await index.jobs() == []
    info = next(info for info in index.store.documents(EVERYTHING) if info.path == f"{web.url}/pump")
    assert (pages.folder / info.hash).read_bytes() == web.pages["/pump"].content


async def test_what_did_not_change_is_not_embedded_again(index: Index, web: Site) -> None:
    pages, embedder = WebPages(index, web.rules()), index.embedder
    assert isinstance(embedder, WordEmbedder)
    await fetched(pages, f"{web.url}/pump", f"{web.url}/valve")
    before = embedder.embedded
    web.pages["/pump"] = Page(status=304)
    assert await fetched(pages) == (0, 2, {})  # the other one is sent whole, and is the same
    assert {headers.get("if-none-match") for _, headers in web.seen[2:]} == {'"1"'}
    assert embedder.embedded == before
    web.pages["/pump"] = html("The pump runs at sixty bar.", "Pump")
    assert await fetched(pages) == (1, 1, {})
    assert embedder.embedded == before + 1
    assert "sixty" in (await index.search("how many bar", 1))[0].text
    assert len([path for path in pages.folder.iterdir() if path.name != ".lock"]) == 2


async def test_a_page_that_is_gone_is_no_longer_cited_and_stays_in_the_list(index: Index, web: Site) -> None:
    pages = WebPages(index, web.rules())
    await fetched(pages, f"{web.url}/pump")
    before = web.pages.pop("/pump")
    report = await pages.fetch(list(await pages.known()))
    assert (report.deleted, report.failed) == (1, {f"{web.url}/pump": "The server answered 404."})
    assert await found(index, "pump bar") == []
    assert [(info.path, info.kind) for info in index.store.documents(EVERYTHING)] == [
        (f"{web.url}/pump", "gone")]  # fmt: skip
    web.pages["/pump"] = before
    assert await fetched(pages) == (1, 0, {})
    assert await found(index, "pump bar") == [f"{web.url}/pump"]


async def test_other_trouble_keeps_what_was_there_and_says_so(index: Index, web: Site) -> None:
    pages, url = WebPages(index, web.rules()), f"{web.url}/pump"
    await fetched(pages, url)
    before = web.pages["/pump"]
    for trouble in (
        Page(status=500),
        Page(b"...", headers={"Content-Type": "video/mp4"}),
        redirect("http://169.254.169.254/"),
        Page(b"%PDF-1.7 nothing", headers={"Content-Type": "application/pdf"}),
    ):
        web.pages["/pump"] = trouble
        read, unchanged, failed = await fetched(pages)
        assert (read, unchanged, list(failed)) == (0, 0, [url])
        assert await found(index, "pump bar") == [url]
        (info,) = index.store.documents(EVERYTHING)
        assert info.failed is None
        assert info.notes == (failed[url],)
    web.pages["/pump"] = before
    assert await fetched(pages) == (0, 1, {})
    assert index.store.documents(EVERYTHING)[0].notes == ()


async def test_a_page_that_never_came_is_listed_with_its_reason(index: Index, web: Site) -> None:
    web.pages["/broken"] = Page(b"%PDF-1.7 nothing", headers={"Content-Type": "application/pdf"})
    pages = WebPages(index, web.rules())
    urls = [f"{web.url}/{name}" for name in ("absent", "broken", "pump")]
    read, _, failed = await fetched(pages, *urls)
    assert (read, list(failed)) == (1, urls[:2])
    listed = {info.path: info.kind for info in index.store.documents(EVERYTHING)}
    assert listed == {urls[0]: "gone", urls[1]: "damaged", urls[2]: ""}


async def test_nothing_is_noted_where_one_address_is_not_allowed(index: Index, web: Site) -> None:
    pages = WebPages(index, web.rules())
    with pytest.raises(ConfigError, match=r"evil\.example"):
        await pages.queue([f"{web.url}/pump", "https://evil.example/"])
    assert await pages.queued() == []
    assert await pages.known() == {}


async def test_pages_are_removed_on_request(index: Index, web: Site) -> None:
    pages = WebPages(index, web.rules())
    await fetched(pages, f"{web.url}/pump", f"{web.url}/valve")
    assert await pages.remove([f"{web.url}/pump#x", f"{web.url}/other"]) == 1
    assert list(await pages.known()) == [f"{web.url}/valve"]
    assert await found(index, "pump bar") == [f"{web.url}/valve"]
    assert len([path for path in pages.folder.iterdir() if path.name != ".lock"]) == 1


async def test_collections_keep_their_pages_apart(index: Index, web: Site) -> None:
    for name in ("tenant:ana", "tenant:bob"):
        await fetched(WebPages(index, web.rules(), name), f"{web.url}/pump")
    ana, bob = (Access(frozenset({name})) for name in ("tenant:ana", "tenant:bob"))
    await WebPages(index, web.rules(), "tenant:ana").remove([f"{web.url}/pump"])
    assert await found(index, "pump", ana) == []
    assert await found(index, "pump", bob) == [f"{web.url}/pump"]


@pytest.mark.parametrize("change", ["parsers", "rebuild", "lost"])
async def test_the_next_generation_has_the_pages_without_asking_for_them(
    tmp_path: Path, web: Site, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    folder, path = tmp_path / "docs", tmp_path / "i.db"
    folder.mkdir()
    (folder / "own.txt").write_text("The door opens at nine.")
    async with open_index(path) as index:
        await index.add_folder(folder)
        pages = WebPages(index, web.rules(), "site")
        await fetched(pages, f"{web.url}/pump", f"{web.url}/absent")
        if change == "lost":
            for kept in pages.folder.iterdir():
                kept.unlink()
    asked = len(web.seen)
    if change == "parsers":
        monkeypatch.setattr(store_module, "PIPELINE_VERSION", 99)
    embedder = WordEmbedder("words:1" if change in {"parsers", "rebuild"} else "words:2")
    async with Index.open(path, embedder, kernels=numpy_kernels(), rebuild=change == "rebuild") as index:
        assert index.stale
        await index.add_folder(folder)
        assert not index.stale
        assert await found(index, "pump bar", Access(frozenset({"site"}))) == [f"{web.url}/pump"]
        assert "own.txt" in await found(index, "door opens")
        pages = WebPages(index, web.rules(), "site")
        assert {url: state.failed for url, state in (await pages.known()).items()} == {
            f"{web.url}/pump": None, f"{web.url}/absent": "The server answered 404."}  # fmt: skip
        assert len(web.seen) == asked
        web.pages["/pump"] = Page(status=304)
        assert (await fetched(pages))[:2] == (0, 1), "validators came along"


async def test_an_older_file_keeps_its_pages_without_asking_for_them(tmp_path: Path, web: Site) -> None:
    path = tmp_path / "i.db"
    web.pages["/lost"] = html("<p>The lost valve.</p>")
    async with open_index(path) as index:
        pages = WebPages(index, web.rules(), "site")
        await fetched(pages, f"{web.url}/pump", f"{web.url}/absent", f"{web.url}/lost")
        (pages.folder / (await pages.known())[f"{web.url}/lost"].hash).unlink()
        await pages.queue([f"{web.url}/later"])
    older = sqlite3.connect(path)
    older.execute("PRAGMA user_version = 1")
    older.close()
    asked = len(web.seen)
    async with Index.open(path, WordEmbedder(), kernels=numpy_kernels(), update=True) as index:
        assert index.stale
        pages = WebPages(index, web.rules(), "site")
        async with index.changing():
            assert not index.stale
        assert await pages.queued() == [f"{web.url}/later"]
        assert await found(index, "pump bar", Access(frozenset({"site"}))) == [f"{web.url}/pump"]
        assert await found(index, "pump bar", Access(frozenset({""}))) == []
        failed = {url: state.failed or "" for url, state in (await pages.known()).items()}
        assert failed[f"{web.url}/pump"] == ""
        assert "404" in failed[f"{web.url}/absent"]
        assert "fetch it again" in failed[f"{web.url}/lost"]
        assert len(web.seen) == asked


_CHILD = """
import asyncio, os, signal, sys
from pathlib import Path
from sillar.documents import WebPages, make_rules
from tests.documents.fakes import WordEmbedder, open_index
async def main():
    async with open_index(Path(sys.argv[1])) as index:
        pages = WebPages(index, make_rules([sys.argv[2].removeprefix("http://")], ["127.0.0.1"]))
        urls = await pages.queue([f"{sys.argv[2]}/p{n}" for n in range(9)])
        await pages.fetch(urls, lambda step: step.done == 4 and os.kill(os.getpid(), signal.SIGKILL))
asyncio.run(main())
"""


async def test_a_killed_run_is_gone_on_with(tmp_path: Path, web: Site) -> None:
    for number in range(9):
        web.pages[f"/p{number}"] = html(f"Subject{number} is here.")
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _CHILD, str(tmp_path / "i.db"), web.url,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})  # fmt: skip
    assert await child.wait() == -9
    async with open_index(tmp_path / "i.db") as index:
        pages = WebPages(index, web.rules())
        assert len(await pages.known()) == 4
        left = await pages.queued()
        assert left == [f"{web.url}/p{number}" for number in range(4, 9)]
        await pages.fetch(left)
        assert len(await pages.known()) == 9
        assert await pages.queued() == []
        assert (await found(index, "subject8"))[0] == f"{web.url}/p8"
