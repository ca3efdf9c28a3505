"""The documents over HTTP: asked, uploaded, opened, judged; and no tenant ever meets another's."""

from __future__ import annotations

import asyncio
import json

import pytest

from sillar.server.library import safe_name

ANA, BOB = {"Authorization": "Bearer ana"}, {"Authorization": "Bearer bob"}


async def ask(client, question, headers=ANA):
    response = await client.post("/v1/ask", json={"question": question}, headers=headers)
    assert response.status_code == 200, response.text
    return response.json()


async def upload(client, library, name, content, headers=ANA, **parameters):
    parameters["name"] = name
    response = await client.post("/v1/documents", params=parameters, content=content, headers=headers)
    assert response.status_code == 202, response.text
    while library.jobs:  # noqa: ASYNC110  an event only for tests would be more to keep
        await asyncio.sleep(0.01)


async def paths(client, headers=ANA):
    return [row["path"] for row in (await client.get("/v1/documents", headers=headers)).json()["data"]]


async def test_an_answer_names_what_the_document_says(client):
    answer = await ask(client, "Within how many days may goods be returned?")
    assert not answer["abstained"]
    first = answer["citations"][0]
    assert first["document"] == "handbook.md"
    opened = await client.get(
        f"/v1/documents/{first['document_id']}/text",
        params={"start": first["start"], "end": first["end"]},
        headers=ANA,
    )
    assert opened.json()["quote"] == first["quote"]
    assert "30 days" in first["quote"]


async def test_a_stream_ends_with_the_whole_answer(client):
    body = {"question": "When do we open?", "stream": True}
    text = (await client.post("/v1/ask", json=body, headers=ANA)).text
    events = [block.split("\n") for block in text.strip().split("\n\n")]
    assert events[-1] == ["data: [DONE]"]
    name, data = events[-2]
    assert name == "event: answer"
    whole = json.loads(data.removeprefix("data: "))
    pieces = [json.loads(e[1].removeprefix("data: "))["text"] for e in events[:-2]]
    assert "".join(pieces) == whole["answer"]


async def test_an_upload_is_found_by_its_owner_only(client, library):
    await upload(client, library, "secret.md", "# Canary\n\nThe canary sleeps in the zirconium cellar.\n")
    assert await paths(client) == ["handbook.md", "secret.md"]
    assert await paths(client, BOB) == ["handbook.md"]
    mine = await ask(client, "Where does the canary sleep?")
    assert "zirconium" in mine["answer"]
    theirs = await ask(client, "Where does the canary sleep? zirconium cellar", BOB)
    assert "secret" not in json.dumps(theirs)
    document = mine["citations"][0]["document_id"]
    for path in (f"{document}/text?start=0&end=5", f"{document}/pages/1.png", f"{document}/sections"):
        assert (await client.get(f"/v1/documents/{path}", headers=BOB)).status_code == 400
    assert (await client.delete(f"/v1/documents/{document}", headers=BOB)).status_code == 400
    assert (await client.delete(f"/v1/documents/{document}", headers=ANA)).status_code == 204
    assert await paths(client) == ["handbook.md"]


async def test_the_shared_folder_cannot_be_removed_from(client, library):
    shared = (await client.get("/v1/documents", headers=ANA)).json()["data"][0]
    assert not shared["removable"]
    assert (await client.delete(f"/v1/documents/{shared['id']}", headers=ANA)).status_code == 400
    assert (library.folder / "handbook.md").exists()


async def test_a_bad_upload_is_listed_with_its_reason(client, library):
    await upload(client, library, "broken.pdf", b"%PDF-1.7 and nothing else")
    rows = (await client.get("/v1/documents", headers=ANA)).json()["data"]
    broken = next(row for row in rows if row["path"] == "broken.pdf")
    assert (broken["state"], broken["passages"]) == ("failed", 0)
    assert broken["reason"]


async def test_uploads_are_limited_and_leave_nothing_half_written(client, library):
    response = await client.post("/v1/documents?name=big.txt", content=b"x" * 100_001, headers=ANA)
    assert response.status_code == 413
    assert list(library.uploads.rglob("*.*")) == []


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd.txt", "passwd.txt"),
        ("C:\\docs\\a.pdf", "a.pdf"),
        ("..hidden.md", "hidden.md"),
        ("<img src=x>.md", "img src=x.md"),
        ("a\n\x00b.txt", "ab.txt"),
        ("é" * 300 + ".txt", None),
        ("x" * 300 + ".txt", "x" * 146 + ".txt"),
        ("run.exe", None),
        ("", None),
        (".txt", None),
    ],
)
def test_names_of_uploads_are_made_harmless(given, kept):
    if kept is None:
        with pytest.raises(Exception, match="not read"):
            safe_name(given)
    else:
        assert safe_name(given) == kept


async def test_votes_tickets_and_insights_belong_to_the_tenant(client):
    answer = await ask(client, "Who was the king of Atlantis?")
    path = f"/v1/answers/{answer['id']}"
    assert (await client.post(f"{path}/feedback", json={"vote": -1}, headers=BOB)).status_code == 400
    assert (await client.post(f"{path}/feedback", json={"vote": -1}, headers=ANA)).status_code == 200
    assert (await client.post(f"{path}/feedback", json={"vote": 7}, headers=ANA)).status_code == 400
    ticket = await client.post(f"{path}/handoff", json={"contact": "a@example.org"}, headers=ANA)
    assert ticket.status_code == 201
    assert ticket.json()["question"] == "Who was the king of Atlantis?"
    seen = (await client.get("/v1/insights", headers=ANA)).json()
    assert (seen["questions"], seen["votes_down"], len(seen["gaps"])) == (1, 1, 1)
    assert (await client.get("/v1/insights", headers=BOB)).json()["questions"] == 0
    assert "Atlantis" in (await client.get("/v1/tickets.csv", headers=ANA)).text
    assert "Atlantis" not in (await client.get("/v1/tickets.csv", headers=BOB)).text


async def test_nothing_is_told_without_a_key(client):
    for path in (
        "documents",
        "jobs",
        "collections",
        "insights",
        "tickets.csv",
        "feedback.json",
        "documents/1/text",
    ):
        assert (await client.get(f"/v1/{path}")).status_code == 401
    assert (await client.post("/v1/ask", json={"question": "?"})).status_code == 401


async def test_the_page_loads_nothing_from_elsewhere_and_needs_no_key(client):
    response = await client.get("/")
    assert response.status_code == 200
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    for path in ("/js/main.js", "/css/app.css", "/icon.svg"):
        found = await client.get(path)
        assert found.status_code == 200
        cached = await client.get(path, headers={"If-None-Match": found.headers["etag"]})
        assert cached.status_code == 304
    assert (await client.get("/js/../run.py")).status_code in (401, 404)


async def test_a_document_opens_by_its_sections(client, library):
    await upload(client, library, "guide.md", "Before.\n\n# One\n\nFirst.\n\n## Two\n\nSecond.\n")
    rows = (await client.get("/v1/documents", headers=ANA)).json()["data"]
    number = next(row["id"] for row in rows if row["path"] == "guide.md")
    whole = (await client.get(f"/v1/documents/{number}/sections", headers=ANA)).json()
    assert (whole["path"], whole["media_type"], whole["pages"]) == ("guide.md", "text/markdown", 0)
    assert [row["name"] for row in whole["data"]] == ["", "One", "One > Two"]
    span = {name: whole["data"][2][name] for name in ("start", "end")}
    part = await client.get(f"/v1/documents/{number}/text", params=span, headers=ANA)
    assert "Second." in part.json()["quote"]
    assert (await client.get("/v1/documents/999999/sections", headers=ANA)).status_code == 400
