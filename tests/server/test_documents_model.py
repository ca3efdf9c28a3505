"""The model `documents` with the official client: answers with citations, abstention, tenants kept apart."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import openai
import pytest

from sillar.server.auth import Client, KeyStore
from tests.server.live import Live, live_server

HANDBOOK = "# Returns\n\nGoods may be returned within 30 days of delivery.\n\n# Hours\n\nWe open at nine.\n"
QUESTION: Any = [{"role": "user", "content": "Within how many days may goods be returned?"}]
UNANSWERED: Any = [{"role": "user", "content": "Who was the king of Atlantis?"}]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("documents") / "docs"
    folder.mkdir()
    (folder / "handbook.md").write_text(HANDBOOK)
    people = {
        "ana": Client("ana", "ana"),
        "bob": Client("bob", "bob"),
        "writer": Client("writer", "writer", frozenset({"generate"})),
        "reader": Client("reader", "reader", frozenset({"documents"})),
    }
    keys = KeyStore({sha256(name.encode()).hexdigest(): client for name, client in people.items()})
    with live_server(documents=folder, keys=keys) as live:
        yield live


def client_of(server: Live, key: str = "ana") -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key=key, max_retries=0)


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
def test_an_answer_has_its_citations_in_the_text_and_beside_it(server: Live) -> None:
    client = client_of(server)
    answer = client.chat.completions.create(
        model="documents", messages=QUESTION, temperature=0.2, max_tokens=50
    )
    message = answer.choices[0].message
    assert answer.model == "documents"
    assert answer.choices[0].finish_reason == "stop"
    assert "30 days" in (message.content or "")
    extra = message.model_extra or {}
    assert not extra["abstained"]
    [citation] = extra["citations"]
    assert (citation["number"], citation["document"]) == (1, "handbook.md")
    assert HANDBOOK.count(citation["quote"]) == 1
    assert message.annotations
    place = message.annotations[0].url_citation
    assert (message.content or "")[place.start_index : place.end_index] == "[1]"
    opened = client.get(place.url.removeprefix("/v1"), cast_to=object)
    assert opened["quote"] == citation["quote"]  # type: ignore[index]
    client.post(f"/answers/{extra['answer_id']}/feedback", body={"vote": 1}, cast_to=object)


def test_a_stream_says_the_same(server: Live) -> None:
    client = client_of(server)
    whole = client.chat.completions.create(model="documents", messages=QUESTION)
    chunks = list(
        client.chat.completions.create(
            model="documents", messages=QUESTION, stream=True, stream_options={"include_usage": True}
        )
    )
    deltas = [chunk.choices[0] for chunk in chunks if chunk.choices]
    assert "".join(d.delta.content or "" for d in deltas) == whole.choices[0].message.content
    assert deltas[-1].finish_reason == "stop"
    extra = whole.choices[0].message.model_extra or {}
    assert (deltas[-1].delta.model_extra or {})["citations"] == extra["citations"]
    assert chunks[-1].usage == whole.usage


def test_what_the_documents_do_not_say_is_not_answered(server: Live) -> None:
    answer = client_of(server).chat.completions.create(model="documents", messages=UNANSWERED)
    message = answer.choices[0].message
    assert message.content == "The documents do not say."
    extra = message.model_extra or {}
    assert extra["abstained"]
    assert extra["citations"] == []
    assert message.annotations == []


def test_the_conversation_is_kept_with_the_question(server: Live) -> None:
    turns: Any = [
        {"role": "system", "content": "You are a pirate."},
        {"role": "user", "content": "When do you open?"},
        {"role": "assistant", "content": "We open at nine."},
        *UNANSWERED,
    ]
    client = client_of(server)
    answer = client.chat.completions.create(model="documents", messages=turns)
    number = (answer.choices[0].message.model_extra or {})["answer_id"]
    ticket: Any = client.post(f"/answers/{number}/handoff", body={}, cast_to=object)
    assert [turn["role"] for turn in ticket["conversation"]] == ["user", "assistant"]


def test_tenants_and_scopes(server: Live) -> None:
    client = client_of(server)
    secret = b"# Canary\n\nThe canary sleeps in the zirconium cellar.\n"
    client.post(
        "/documents",
        content=secret,
        options={"params": {"name": "secret.md"}, "headers": {"content-type": "text/markdown"}},
        cast_to=object,
    )
    while client.get("/jobs", cast_to=object)["data"]:  # type: ignore[index]
        pass
    question: Any = [{"role": "user", "content": "Where does the canary sleep?"}]

    def text(key: str) -> str:
        answer = client_of(server, key).chat.completions.create(model="documents", messages=question)
        return answer.choices[0].message.content or ""

    assert "zirconium" in text("ana")
    assert "zirconium" not in text("bob")
    assert "zirconium" not in text("reader")
    with pytest.raises(openai.PermissionDeniedError, match="documents"):
        text("writer")
    with pytest.raises(openai.PermissionDeniedError, match="generate"):
        client_of(server, "reader").chat.completions.create(model="fake", messages=question)


@pytest.mark.parametrize(
    "extra",
    [
        {"n": 2},
        {"stop": ["x"]},
        {"logprobs": True},
        {"response_format": {"type": "json_object"}},
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        {"messages": [{"role": "user", "content": " "}]},
        {"messages": [{"role": "assistant", "content": "Hello"}]},
        {"messages": [{"role": "user", "content": "x" * 4001}]},
    ],
)
def test_what_this_model_cannot_do_is_refused(server: Live, extra: dict[str, Any]) -> None:
    body: Any = {"model": "documents", "messages": QUESTION, **extra}
    with pytest.raises(openai.BadRequestError):
        client_of(server).chat.completions.create(**body)


def test_it_is_listed_where_there_are_documents(server: Live, live: Live) -> None:
    client = client_of(server)
    assert "documents" in [model.id for model in client.models.list()]
    assert client.models.retrieve("documents").id == "documents"
    without = openai.OpenAI(base_url=f"{live.url}/v1", api_key="unused", max_retries=0)
    with pytest.raises(openai.NotFoundError):
        without.chat.completions.create(model="documents", messages=QUESTION)
