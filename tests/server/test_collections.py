"""Collections over HTTP; and canaries: what one tenant uploaded never reaches another."""

from __future__ import annotations

import json

import pytest

from sillar.server.collections import MAX_COLLECTIONS, Shelves
from tests.server.test_documents_api import ANA, BOB, ask, upload

CANARY = "# Warehouse\n\nThe zirconium canary sleeps in the cellar of the warehouse.\n"
TOLD = ("zirconium", "canary", "birdcage", "Aviary", "warehouse")


async def rows(client, path, headers=ANA):
    response = await client.get(f"/v1/{path}", headers=headers)
    assert response.status_code == 200, response.text
    return response.json()["data"]


async def own_id(client, name="birdcage.md"):
    return next(row["id"] for row in await rows(client, "documents") if row["path"] == name)


def silent(text, *allowed):
    """Nothing of the canary in it, but for the words that the question itself brought."""
    assert [word for word in TOLD if word not in allowed and word.lower() in text.lower()] == []


def always(vector):
    """An `embed_question` for which every question means the same."""

    async def embed(question):
        return vector

    return embed


@pytest.fixture
async def hidden(client, library):
    """Ana's document, in her collection Aviary."""
    await upload(client, library, "birdcage.md", CANARY, collection="Aviary")
    return await own_id(client)


async def test_an_upload_makes_its_collection_and_the_last_removal_ends_it(client, library, hidden):
    row = next(row for row in await rows(client, "documents") if row["id"] == hidden)
    assert (row["collection"], row["kind"], row["notes"], row["removable"]) == ("Aviary", "", [], True)
    assert await rows(client, "collections") == [
        {"name": "", "documents": 1, "writable": False},
        {"name": "uploads", "documents": 0, "writable": True},
        {"name": "Aviary", "documents": 1, "writable": True},
    ]
    assert "cellar" in (await ask(client, "Where does the canary sleep?"))["answer"]
    assert (await client.delete(f"/v1/documents/{hidden}", headers=ANA)).status_code == 204
    assert [row["name"] for row in await rows(client, "collections")] == ["", "uploads"]


async def test_equal_names_of_two_tenants_are_two_collections(client, library, hidden):
    await upload(
        client, library, "parrot.md", "# Parrot\n\nThe parrot eats seeds.\n", BOB, collection="Aviary"
    )
    assert [row["path"] for row in await rows(client, "documents")] == ["birdcage.md", "handbook.md"]
    assert [row["path"] for row in await rows(client, "documents", BOB)] == ["handbook.md", "parrot.md"]
    assert (await rows(client, "collections", BOB))[-1] == {
        "name": "Aviary",
        "documents": 1,
        "writable": True,
    }


async def test_a_name_tells_nobody_whether_another_tenant_has_it(client, library, hidden):
    answers = []
    for collection in ("Aviary", "Nowhere"):
        parameters = {"name": "run.exe", "collection": collection}
        refused = await client.post("/v1/documents", params=parameters, content=b"x", headers=BOB)
        parameters["name"] = "a.txt"
        taken = await client.post("/v1/documents", params=parameters, content=b"x", headers=BOB)
        assert taken.json()["collection"] == collection
        answers.append((refused.status_code, refused.json()["error"]["message"], taken.status_code))
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    "name",
    [
        "tenant:ana",
        "named:ana:Aviary",
        "../x",
        "a/b",
        "a\\b",
        ".hidden",
        "a\nb",
        "a\x00b",
        "*",
        "x" * 61,
        "界" * 201,
    ],
)
async def test_hostile_names_of_collections_are_refused_and_leave_nothing(client, library, name):
    parameters = {"name": "a.txt", "collection": name}
    response = await client.post("/v1/documents", params=parameters, content=b"x", headers=BOB)
    assert response.status_code == 400, response.text
    assert not library.uploads.exists()
    assert len(await rows(client, "collections", BOB)) == 2


async def test_the_number_of_collections_is_bounded(client, library):
    first = Shelves(library.uploads).choose("bob", "c0").folder
    for number in range(MAX_COLLECTIONS):
        (first.parent / f"c{number}").mkdir(parents=True)
    for name, status in (("one more", 400), ("c7", 202)):
        parameters = {"name": "a.txt", "collection": name}
        response = await client.post("/v1/documents", params=parameters, content=b"x", headers=BOB)
        assert response.status_code == status


async def test_a_collection_s_readers_see_it_and_cannot_change_it(client, library, tmp_path):
    folder = tmp_path / "manuals"
    folder.mkdir()
    (folder / "pump.md").write_text("# Pump\n\nThe pump runs at forty bar.\n")
    await library.index.add_folder(folder, collection="manuals")
    assert "manuals" not in json.dumps(await rows(client, "collections", BOB))
    await library.index.set_readers("manuals", ["bob"])
    assert {"name": "manuals", "documents": 1, "writable": False} in await rows(client, "collections", BOB)
    row = next(row for row in await rows(client, "documents", BOB) if row["path"] == "pump.md")
    assert (row["collection"], row["removable"]) == ("manuals", False)
    assert "forty" in (await ask(client, "At how many bar does the pump run?", BOB))["answer"]
    assert (await client.delete(f"/v1/documents/{row['id']}", headers=BOB)).status_code == 400
    assert "pump" not in json.dumps(await rows(client, "documents"))


async def test_jobs_tell_their_stage_to_their_tenant_only(client, library, monkeypatch):
    seen = []
    advance = library.index.advance

    async def look(source, paths, stage):
        await advance(source, paths, stage)
        seen.append((await rows(client, "jobs"), await rows(client, "jobs", BOB)))

    monkeypatch.setattr(library.index, "advance", look)
    await upload(client, library, "birdcage.md", CANARY, collection="Aviary")
    assert [mine[0]["stage"] for mine, _ in seen] == ["parsing", "chunking", "embedding"]
    assert {(mine[0]["document"], mine[0]["collection"]) for mine, _ in seen} == {("birdcage.md", "Aviary")}
    assert [theirs for _, theirs in seen] == [[], [], []]


async def test_no_question_by_words_reaches_another_tenant_s_document(client, hidden):
    for question in ("Where does the zirconium canary sleep?", "sleeping canaries in zirconium cellars"):
        assert (await ask(client, question))["citations"][0]["document"] == "birdcage.md"
        for _ in range(2):  # the second meets whatever the first, and Ana's, left in caches
            theirs = await ask(client, question, BOB)
            assert all(citation["document_id"] != hidden for citation in theirs["citations"])
            told = json.dumps({name: value for name, value in theirs.items() if name != "asked"})
            silent(told, *[word for word in TOLD if word.lower() in question.lower()])
            assert "cellar of the" not in told


async def test_no_question_by_vector_reaches_another_tenant_s_document(client, library, hidden, monkeypatch):
    found = (await library.index.search("zirconium canary"))[0]
    vector = await library.index.embedder.embed([found.text], "passage")
    monkeypatch.setattr(library.index, "embed_question", always(vector[0]))
    for headers, reached in ((ANA, True), (BOB, False), (BOB, False)):
        answer = await ask(client, "Which bird rests down there?", headers)  # no word of the document's
        path = f"/v1/answers/{answer['id']}/handoff"
        ticket = (await client.post(path, json={}, headers=headers)).json()
        assert ("birdcage.md" in [passage["document"] for passage in ticket["passages"]]) == reached
        if not reached:
            silent(json.dumps([answer, ticket]))


async def test_no_id_opens_another_tenant_s_document_and_no_error_tells_of_it(client, hidden):
    for path in ("text?start=0&end=5", "text?start=9&end=3", "pages/1.png", "pages/1.png?quote=canary"):
        real = await client.get(f"/v1/documents/{hidden}/{path}", headers=BOB)
        absent = await client.get(f"/v1/documents/999999/{path}", headers=BOB)
        assert (real.status_code, real.json()) == (absent.status_code, absent.json())
        assert real.status_code == 400
    real = await client.delete(f"/v1/documents/{hidden}", headers=BOB)
    assert real.json() == (await client.delete("/v1/documents/999999", headers=BOB)).json()
    assert await own_id(client) == hidden


async def test_lists_figures_and_metrics_tell_nothing_of_another_tenant_s_document(client, hidden):
    mine = await ask(client, "Where does the zirconium canary sleep?")
    vote = await client.post(f"/v1/answers/{mine['id']}/feedback", json={"vote": 1}, headers=ANA)
    assert vote.status_code == 200
    paths = ("documents", "collections", "jobs", "suggestions", "insights", "tickets", "feedback.json",
             "evaluation.json", "tickets.csv", "me")  # fmt: skip
    for path in paths:
        found = await client.get(f"/v1/{path}", headers=BOB)
        assert found.status_code == 200
        silent(found.text)
    assert (await client.get("/v1/suggestions", headers=BOB)).json()["documents"] == 1
    metrics = await client.get("/metrics", headers=BOB)
    assert metrics.status_code == 200
    silent(metrics.text)
