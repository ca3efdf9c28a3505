"""Readers of a collection: named by a key with the scope admin, of its own tenant's collections only; whoever
is not among them learns nothing of it.
"""

from __future__ import annotations

import json

import pytest

from tests.server.test_collections import CANARY, always, own_id, rows, silent
from tests.server.test_documents_api import ANA, BOB, ask, upload

CLERK = {"Authorization": "Bearer clerk"}
PATH = "/v1/collections/Aviary/readers"
QUESTION = "Who sleeps in the cellar?"


async def share(client, *readers, headers=ANA, path=PATH):
    return await client.put(path, json={"readers": list(readers)}, headers=headers)


@pytest.fixture
async def hidden(client, library):
    await upload(client, library, "birdcage.md", CANARY, collection="Aviary")
    return await own_id(client)


async def test_readers_come_and_go(client, library, hidden):
    assert (await client.get(PATH, headers=ANA)).json() == {"collection": "Aviary", "readers": []}
    assert (await share(client, "bob", "bob")).json() == {"collection": "Aviary", "readers": ["bob"]}
    assert {"name": "Aviary", "documents": 1, "writable": False} in await rows(client, "collections", BOB)
    assert "cellar" in json.dumps((await ask(client, QUESTION, BOB))["citations"])
    opened = await client.get(f"/v1/documents/{hidden}/text?start=0&end=9", headers=BOB)
    assert opened.status_code == 200
    assert (await client.delete(f"/v1/documents/{hidden}", headers=BOB)).status_code == 400
    assert (await share(client)).json()["readers"] == []
    await nothing_is_told(client, library, hidden)


async def test_the_list_of_collections_tells_an_admin_who_reads_its_own(client, library, hidden):
    await share(client, "bob")
    told = (await client.get("/v1/collections", headers=ANA)).json()
    assert told["readers"] == {"uploads": [], "Aviary": ["bob"]}
    assert told["hosts"] == []
    assert (await client.get("/v1/collections", headers=CLERK)).json()["readers"] is None
    reader = (await client.get("/v1/collections", headers=BOB)).json()
    assert "Aviary" not in (reader["readers"] or {})


async def nothing_is_told(client, library, hidden):
    """To Bob: names, passages, counts, errors."""
    for path in ("documents", "collections", "jobs", "suggestions", "insights"):
        silent((await client.get(f"/v1/{path}", headers=BOB)).text)
    assert (await client.get("/v1/suggestions", headers=BOB)).json()["documents"] == 1
    for path in ("text?start=0&end=5", "pages/1.png"):
        real = await client.get(f"/v1/documents/{hidden}/{path}", headers=BOB)
        absent = await client.get(f"/v1/documents/999999/{path}", headers=BOB)
        assert (real.status_code, real.json()) == (absent.status_code, absent.json())
    theirs = await ask(client, "Which bird rests down there?", BOB)
    silent(json.dumps(theirs))
    passage = (await library.index.search("zirconium canary"))[0]
    vector = await library.index.embedder.embed([passage.text], "passage")
    library.index.embed_question = always(vector[0])
    silent(json.dumps(await ask(client, "Which bird rests down there?", BOB)))
    del library.index.embed_question


async def test_only_the_scope_admin_may_see_and_say_who_reads(client, library, hidden):
    assert (await share(client, "clerk", "*", headers=CLERK)).status_code == 403
    assert (await client.get(PATH, headers=CLERK)).status_code == 403
    assert (await share(client, "bob", headers={})).status_code == 401
    await nothing_is_told(client, library, hidden)


async def test_another_tenant_s_admin_reaches_no_collection_but_its_own(client, library, hidden):
    collection = next(name for name in await library.index.readers() if name.endswith(":Aviary"))
    for name in ("Aviary", "Nowhere", collection, "tenant:ana", ""):
        refused = await share(client, "bob", headers=BOB, path=f"/v1/collections/{name}/readers")
        assert refused.status_code in {400, 404}
        told = await client.get(f"/v1/collections/{name}/readers", headers=BOB)
        assert told.status_code in {400, 404}
        silent(told.text)
    there, absent = [
        (await share(client, "bob", headers=BOB, path=f"/v1/collections/{name}/readers")).json()
        for name in ("Aviary", "Nowhere")
    ]
    assert there == absent
    await share(client, "bob")  # to read is not to share
    assert (await share(client, "*", headers=BOB)).status_code == 400
    await share(client)
    await nothing_is_told(client, library, hidden)


async def test_a_collection_that_ends_takes_its_readers_along(client, library, hidden):
    await share(client, "bob")
    assert (await client.delete(f"/v1/documents/{hidden}", headers=ANA)).status_code == 204
    await upload(client, library, "birdcage.md", CANARY, collection="Aviary")
    await nothing_is_told(client, library, await own_id(client))


async def test_malformed_readers_are_refused(client, library, hidden):
    for readers in ([""], ["a" * 201], ["a\nb"], ["x"] * 101, "bob", [1], None):
        response = await client.put(PATH, json={"readers": readers}, headers=ANA)
        assert response.status_code == 400, response.text
    assert (await client.get(PATH, headers=ANA)).json()["readers"] == []
