"""/v1/responses with the official client: whole and streamed, tools, schemas, conversations that go on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import httpx
import openai
import pytest
from pydantic import BaseModel

from sillar.server import responses_store
from sillar.server.auth import Client, KeyStore
from sillar.server.errors import ApiError
from sillar.server.responses_store import ResponseStore
from tests.engine.fake_text import FakeCodec
from tests.server.live import Live, live_server
from tests.server.test_documents_model import HANDBOOK
from tests.server.test_openai_client import expected

QUESTION = "Where does a café keep its sugar?"
SCHEMA: Any = {
    "type": "object",
    "properties": {"unit": {"enum": ["C", "F"]}, "days": {"enum": [1, 2, 3]}},
    "required": ["unit", "days"],
    "additionalProperties": False,
}
TOOL: Any = {"type": "function", "name": "get_weather", "parameters": SCHEMA, "strict": True}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("documents") / "docs"
    folder.mkdir()
    (folder / "handbook.md").write_text(HANDBOOK)
    people = {"ana": Client("ana", "ana"), "bob": Client("bob", "bob")}
    people["widget"] = Client("widget", "ana", frozenset({"embed"}))
    keys = KeyStore({sha256(name.encode()).hexdigest(): client for name, client in people.items()})
    with live_server(documents=folder, keys=keys) as live:
        yield live


@pytest.fixture
def client(server: Live) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="ana", max_retries=0)


def prompt(*messages: tuple[str, str]) -> list[int]:
    return FakeCodec().encode_chat([{"role": role, "content": text} for role, text in messages])


def test_a_response(client: openai.OpenAI) -> None:
    response = client.responses.create(
        model="fake", instructions="Be short.", input=QUESTION, max_output_tokens=30, metadata={"a": "b"}
    )
    assert response.output_text == expected(prompt(("system", "Be short."), ("user", QUESTION)), 30)
    assert response.status == "incomplete"
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"
    assert response.usage is not None
    assert response.usage.output_tokens == 30
    assert response.usage.total_tokens == response.usage.input_tokens + 30
    assert response.metadata == {"a": "b"}
    assert response.model == "fake"


def test_the_events_come_in_the_official_order(client: openai.OpenAI) -> None:
    asked: Any = {"model": "fake", "input": QUESTION, "temperature": 0.8, "extra_body": {"seed": 7}}
    whole = client.responses.create(max_output_tokens=40, **asked)
    events = list(client.responses.create(max_output_tokens=40, stream=True, **asked))
    kinds = [event.type for event in events]
    delta = "response.output_text.delta"
    assert list(dict.fromkeys(kinds)) == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        delta,
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        f"response.{whole.status}",
    ]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert "".join(event.delta for event in events if event.type == delta) == whole.output_text
    last: Any = events[-1]
    assert last.response.output_text == whole.output_text
    assert last.response.usage.output_tokens == whole.usage.output_tokens  # type: ignore[union-attr]


def test_the_client_s_own_stream_helper(client: openai.OpenAI) -> None:
    with client.responses.stream(model="fake", input=QUESTION, tools=[TOOL], tool_choice="required",
                                 temperature=1, extra_body={"seed": 5}) as stream:  # fmt: skip
        for _ in stream:
            pass
        response = stream.get_final_response()
    [call] = [item for item in response.output if item.type == "function_call"][:1]
    assert call.name == "get_weather"
    assert json.loads(call.arguments).keys() == {"unit", "days"}


async def test_the_async_client(server: Live) -> None:
    async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="ana", max_retries=0) as client:
        stream = await client.responses.create(model="fake", input=QUESTION, max_output_tokens=9, stream=True)
        text = "".join([event.delta async for event in stream if event.type == "response.output_text.delta"])
    assert text == expected(prompt(("user", QUESTION)), 9)


class Weather(BaseModel):
    days: int


def test_text_that_follows_a_schema(client: openai.OpenAI) -> None:
    form: Any = {"format": {"type": "json_schema", "name": "w", "schema": SCHEMA, "strict": True}}
    response = client.responses.create(
        model="fake", input="?", text=form, temperature=1, extra_body={"seed": 3}
    )
    assert json.loads(response.output_text).keys() == {"unit", "days"}
    assert response.status == "completed"
    bounded = {**SCHEMA, "properties": {"days": {"enum": [4, 7]}}, "required": ["days"]}
    form["format"]["schema"] = bounded
    parsed = Weather.model_validate_json(
        client.responses.create(model="fake", input="?", text=form, temperature=1).output_text
    )
    assert parsed.days in {4, 7}


def test_calls_and_their_results_go_back_in(client: openai.OpenAI) -> None:
    first = client.responses.create(
        model="fake", input=QUESTION, tools=[TOOL], tool_choice={"type": "function", "name": "get_weather"},
        temperature=1, extra_body={"seed": 1}, store=False,
    )  # fmt: skip
    [call] = first.output
    assert call.type == "function_call"
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "21 degrees"}
    items: Any = [{"role": "user", "content": QUESTION}, call.model_dump(exclude_none=True), result]
    second = client.responses.create(model="fake", input=items, max_output_tokens=12)
    assert second.output_text
    parts: Any = [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": QUESTION}]}]
    same = client.responses.create(model="fake", input=parts, max_output_tokens=9)
    assert same.output_text == expected(prompt(("user", QUESTION)), 9)


def test_log_probabilities(client: openai.OpenAI) -> None:
    response = client.responses.create(
        model="fake",
        input=QUESTION,
        max_output_tokens=6,
        include=["message.output_text.logprobs"],
        top_logprobs=2,
    )
    part: Any = response.output[0].content[0]  # type: ignore[union-attr]
    assert part.logprobs
    assert all(len(entry.top_logprobs) == 2 for entry in part.logprobs)


def test_a_conversation_goes_on_from_a_kept_response(client: openai.OpenAI, server: Live) -> None:
    first = client.responses.create(model="fake", input="One", instructions="Shout.", max_output_tokens=5)
    second = client.responses.create(
        model="fake", input="Two", previous_response_id=first.id, max_output_tokens=8
    )
    turns = (("user", "One"), ("assistant", first.output_text), ("user", "Two"))
    # The fake model may end before the eighth token.
    assert second.output_text
    assert expected(prompt(*turns), 8).startswith(second.output_text)
    assert client.responses.retrieve(second.id).output_text == second.output_text
    listed: Any = client.responses.input_items.list(second.id).data
    assert [item.content[0].text for item in listed] == ["Two"]
    bob = openai.OpenAI(base_url=f"{server.url}/v1", api_key="bob", max_retries=0)
    with pytest.raises(openai.NotFoundError):
        bob.responses.retrieve(first.id)
    with pytest.raises(openai.NotFoundError) as caught:
        bob.responses.create(model="fake", input="?", previous_response_id=first.id)
    assert caught.value.code == "response_not_found"
    widget = openai.OpenAI(base_url=f"{server.url}/v1", api_key="widget", max_retries=0)
    for call in (widget.responses.retrieve, widget.responses.delete, widget.responses.input_items.list):
        with pytest.raises(openai.PermissionDeniedError):
            call(first.id)  # type: ignore[operator]
    client.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(first.id)


def test_what_is_not_to_be_stored_is_not(client: openai.OpenAI) -> None:
    response = client.responses.create(model="fake", input="One", store=False, max_output_tokens=2)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(response.id)


def test_answers_from_the_documents(client: openai.OpenAI) -> None:
    question = "Within how many days may goods be returned?"
    response = client.responses.create(model="documents", input=question)
    assert "30 days" in response.output_text
    part: Any = response.output[0].content[0]  # type: ignore[union-attr]
    place = part.annotations[0]
    assert place.type == "url_citation"
    assert response.output_text[place.start_index : place.end_index] == "[1]"
    assert part.citations[0]["document"] == "handbook.md"
    with client.responses.stream(model="documents", input=question) as stream:
        kinds = [event.type for event in stream]
        assert stream.get_final_response().output_text == response.output_text
    assert "response.output_text.annotation.added" in kinds


@pytest.mark.parametrize(
    "extra",
    [
        {"background": True},
        {"conversation": "conv_1"},
        {"prompt": {"id": "p"}},
        {"reasoning": {"effort": "low"}},
        {"truncation": "auto"},
        {"tools": [{"type": "web_search"}]},
        {"tool_choice": "required"},
        {"include": ["reasoning.encrypted_content"]},
        {"max_output_tokens": 0},
        {"max_output_tokens": 10**12},
        {"temperature": 3},
        {"input": []},
        {"input": [{"type": "item_reference", "id": "x"}]},
        {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "http://x/"}]}]},
        {"text": {"format": {"type": "json_schema", "name": "x"}}},
        {"metadata": {str(i): "x" for i in range(17)}},
        {"colour": 1},
    ],
)
def test_what_is_not_supported_is_refused(server: Live, extra: dict[str, Any]) -> None:
    body = {"model": "fake", "input": "?", **extra}
    answer = httpx.post(f"{server.url}/v1/responses", json=body, headers={"Authorization": "Bearer ana"})
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_an_error_in_the_middle_ends_the_stream_as_failed(client: openai.OpenAI, server: Live) -> None:
    stepper: Any = server.engine._stepper
    stepper.poison = 0  # every prompt's first token
    try:
        events = list(client.responses.create(model="fake", input="poisoned", stream=True))
    finally:
        stepper.poison = None
    last: Any = events[-1]
    assert last.type == "response.failed"
    assert last.response.error.code == "server_error"


def test_the_store_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(responses_store, "KEPT_RESPONSES", 3)
    monkeypatch.setattr(responses_store, "KEPT_BYTES", 1000)
    now = [0.0]
    store = ResponseStore(lambda: now[0])
    for number in range(5):
        store.keep("ana", {"id": f"r{number}"}, [], [])
    for number, there in enumerate([False, False, True, True, True]):
        if there:
            assert store.find("ana", f"r{number}").payload == {"id": f"r{number}"}
        else:
            with pytest.raises(ApiError):
                store.find("ana", f"r{number}")
    store.keep("ana", {"id": "large", "text": "x" * 2000}, [], [])
    with pytest.raises(ApiError):
        store.find("ana", "large")
    store.keep("ana", {"id": "half", "text": "x" * 960}, [], [])
    with pytest.raises(ApiError):
        store.find("ana", "r4")
    now[0] = responses_store.KEPT_SECONDS + 1
    with pytest.raises(ApiError):
        store.find("ana", "half")
