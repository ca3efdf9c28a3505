"""Pages of the web over HTTP: only where the operator allows hosts, into the tenant's collections, and
cited by their address.
"""

from __future__ import annotations

import asyncio
import json

import pytest

from sillar.documents import WebPages
from tests.documents.web_site import html, site
from tests.server.test_collections import CANARY, own_id, rows, silent
from tests.server.test_documents_api import ANA, BOB, ask, paths, upload


@pytest.fixture
def web(library):
    with site(birds=html("The zirconium canary sleeps in the cellar of the warehouse.", "Birds")) as served:
        library.rules = served.rules()
        yield served


async def fetch(client, library, *urls, headers=ANA, status=202, **fields):
    response = await client.post("/v1/pages", json={"urls": urls, **fields}, headers=headers)
    assert response.status_code == status, response.text
    while library.jobs:  # noqa: ASYNC110  an event only for tests would be more to keep
        await asyncio.sleep(0.01)
    return response.json()


async def test_a_page_is_fetched_cited_shown_and_removed(client, library, web):
    url = f"{web.url}/birds"
    taken = await fetch(client, library, f"{url}#top")
    assert [(job["document"], job["collection"]) for job in taken["jobs"]] == [(url, "uploads")]
    answer = await ask(client, "Where does the canary sleep?")
    assert answer["citations"][0]["document"] == url
    row = next(row for row in await rows(client, "documents") if row["path"] == url)
    assert (row["title"], row["state"], row["removable"]) == ("Birds", "ready", True)
    assert (await client.delete(f"/v1/documents/{row['id']}", headers=ANA)).status_code == 204
    assert await paths(client) == ["handbook.md"]


async def test_a_collection_of_pages_lasts_until_its_last_document(client, library, web):
    url = f"{web.url}/birds"
    await fetch(client, library, url, collection="Aviary")
    assert {"name": "Aviary", "documents": 1, "writable": True} in await rows(client, "collections")
    await upload(client, library, "note.md", "# Note\n\nSeeds are on the shelf.\n", collection="Aviary")
    note = await own_id(client, "note.md")
    assert (await client.delete(f"/v1/documents/{note}", headers=ANA)).status_code == 204
    assert "cellar" in (await ask(client, "Where does the canary sleep?"))["answer"]
    page = await own_id(client, url)
    assert (await client.delete(f"/v1/documents/{page}", headers=ANA)).status_code == 204
    assert [row["name"] for row in await rows(client, "collections")] == ["", "uploads"]


async def test_another_tenant_learns_nothing_of_a_page(client, library, web):
    await fetch(client, library, f"{web.url}/birds", collection="Aviary")
    page = await own_id(client, f"{web.url}/birds")
    for path in ("documents", "collections", "jobs", "suggestions"):
        silent((await client.get(f"/v1/{path}", headers=BOB)).text)
    assert (await client.get(f"/v1/documents/{page}/text?start=0&end=5", headers=BOB)).status_code == 400
    assert (await client.delete(f"/v1/documents/{page}", headers=BOB)).status_code == 400
    answer = await ask(client, "Where does the bird rest in winter?", BOB)
    silent(json.dumps(answer))


async def test_without_hosts_nothing_is_fetched(client, library):
    for url in ("https://docs.example.com/", "file:///etc/passwd"):
        body = await fetch(client, library, url, status=403)
        assert body["error"]["code"] == "no_hosts"


@pytest.mark.parametrize(
    "url",
    ["https://evil.example/", "file:///etc/passwd", "http://169.254.169.254/", "http://localhost/",
     "nonsense", "http://ana:secret@127.0.0.1/", "\ud800", ""],
)  # fmt: skip
async def test_addresses_that_are_not_allowed_are_refused_and_nothing_is_asked(client, library, web, url):
    data = json.dumps({"urls": [f"{web.url}/birds", url]})
    response = await client.post("/v1/pages", content=data, headers=ANA)
    assert response.status_code == 400, response.text
    assert "secret" not in response.text
    assert web.seen == []
    assert not library.jobs
    assert await paths(client) == ["handbook.md"]


async def test_how_many_pages_may_wait_is_bounded(client, library, web, monkeypatch):
    go = asyncio.Event()

    async def waits(self, urls, progress=None):
        await go.wait()

    monkeypatch.setattr(WebPages, "fetch", waits)
    for batch in range(5):
        urls = [f"{web.url}/{batch}-{n}" for n in range(100)]
        assert (await client.post("/v1/pages", json={"urls": urls}, headers=ANA)).status_code == 202
    one = {"urls": [f"{web.url}/birds"]}
    assert (await client.post("/v1/pages", json=one, headers=ANA)).status_code == 400
    assert (await client.post("/v1/pages", json=one, headers=BOB)).status_code == 202
    go.set()


async def test_pages_that_could_not_be_had_say_why(client, library, web):
    await fetch(client, library, f"{web.url}/absent")
    row = next(row for row in await rows(client, "documents") if row["state"] == "failed")
    assert (row["path"], row["kind"], row["reason"]) == (
        f"{web.url}/absent",
        "gone",
        "The server answered 404.",
    )


async def test_jobs_tell_the_stage_of_a_page(client, library, web, monkeypatch):
    await library.index.add_folder(library.folder)  # the handbook stands here, not where it was indexed
    seen = []
    advance = library.index.advance

    async def look(source, urls, stage):
        await advance(source, urls, stage)
        seen.append((await rows(client, "jobs"), await rows(client, "jobs", BOB)))

    monkeypatch.setattr(library.index, "advance", look)
    await fetch(client, library, f"{web.url}/birds")
    assert [mine[0]["stage"] for mine, _ in seen] == ["fetching", "parsing", "embedding"]
    assert {mine[0]["document"] for mine, _ in seen} == {f"{web.url}/birds"}
    assert all(theirs == [] for _, theirs in seen)


async def test_an_interrupted_server_goes_on_where_it_was(client, library, web):
    pages = WebPages(library.index, library.rules, "tenant:ana")
    await pages.queue([f"{web.url}/birds"])
    waiting = await rows(client, "jobs")
    assert [(row["id"], row["document"], row["stage"]) for row in waiting] == [
        (None, f"{web.url}/birds", "found")]  # fmt: skip
    assert await rows(client, "jobs", BOB) == []
    await library.resume()
    while await pages.queued():  # noqa: ASYNC110  as above
        await asyncio.sleep(0.01)
    assert await paths(client) == ["handbook.md", f"{web.url}/birds"]


async def test_an_upload_that_was_taken_is_indexed_after_a_kill(client, library, monkeypatch):
    async def killed(self, job):
        del self.jobs[job.id]

    monkeypatch.setattr(type(library), "_run", killed)
    await upload(client, library, "birdcage.md", CANARY, collection="Aviary")
    assert await paths(client) == ["handbook.md"]
    waiting = await rows(client, "jobs")
    assert [(row["document"], row["collection"]) for row in waiting] == [("birdcage.md", "Aviary")]
    await library.resume()
    while await library.index.jobs():  # noqa: ASYNC110  as above
        await asyncio.sleep(0.01)
    assert "cellar" in (await ask(client, "Where does the canary sleep?"))["answer"]
    silent(json.dumps(await rows(client, "documents", BOB)))


async def test_files_of_the_shared_folder_are_seen_on_their_way(client, library, monkeypatch):
    await library.index.add_folder(library.folder)  # the handbook stands here, not where it was indexed
    seen = []
    advance = library.index.advance

    async def look(source, names, stage):
        await advance(source, names, stage)
        response = await client.get("/v1/jobs", headers=BOB)
        seen.append(response.json())

    monkeypatch.setattr(library.index, "advance", look)
    for number in range(120):
        (library.folder / f"{number:03}.txt").write_text(f"Subject{number}.")
    await library.index.add_folder(library.folder)
    first = seen[0]
    assert (len(first["data"]), first["more"]) == (100, 20)
    assert first["data"][0] == {
        "id": None,
        "document": "000.txt",
        "collection": "",
        "stage": "parsing",
        "done": 0,
        "total": 0,
    }
    assert await rows(client, "jobs") == []
