"""Structured output and function calls with the official client; the fake model draws at random."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest

from sillar.server.call_finder import CallFinder
from sillar.server.chat_types import ChatRequest
from sillar.server.tool_formats import EXPLAINED, HERMES
from sillar.server.tools import ToolUse
from tests.server.live import Live

MESSAGES: Any = [{"role": "user", "content": "Weather in Lima?"}]
EMPTY = {"type": "object", "properties": {}, "additionalProperties": False}
TOOLS: Any = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Weather of a city.",
            "parameters": {
                "type": "object",
                "properties": {"unit": {"enum": ["C", "F"]}, "days": {"type": "integer", "maximum": 9}},
                "required": ["unit", "days"],
                "additionalProperties": False,
            },
        },
    },
    {
        "type": "function",
        "function": {"name": "stop_rain", "parameters": EMPTY},
    },
]


@pytest.fixture
def client(live: Live) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{live.url}/v1", api_key="unused", max_retries=0)


def test_json_schema(client: openai.OpenAI) -> None:
    schema: Any = {"name": "s", "schema": TOOLS[0]["function"]["parameters"], "strict": True}
    answer = client.chat.completions.create(
        model="fake",
        messages=MESSAGES,
        temperature=1,
        seed=3,
        n=2,
        response_format={"type": "json_schema", "json_schema": schema},
    )
    for choice in answer.choices:
        assert json.loads(choice.message.content or "").keys() == {"unit", "days"}
        assert choice.finish_reason == "stop"


def test_a_required_call_has_the_tool_s_arguments(client: openai.OpenAI) -> None:
    choice: Any = {"type": "function", "function": {"name": "get_weather"}}
    answer = client.chat.completions.create(
        model="fake", messages=MESSAGES, tools=TOOLS, tool_choice=choice, temperature=1, seed=1
    )
    assert answer.choices[0].finish_reason == "tool_calls"
    assert answer.choices[0].message.content is None
    [call] = answer.choices[0].message.tool_calls or []
    assert call.type == "function"
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments).keys() == {"unit", "days"}


def test_a_required_call_streams(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model="fake",
        messages=MESSAGES,
        tools=TOOLS,
        tool_choice="required",
        parallel_tool_calls=False,
        temperature=1,
        seed=2,
        max_tokens=2000,
        stream=True,
    )
    deltas = [chunk.choices[0] for chunk in stream]
    calls = [call for delta in deltas for call in delta.delta.tool_calls or []]
    assert not "".join(delta.delta.content or "" for delta in deltas)
    assert {call.index for call in calls} == {0}
    assert deltas[-1].finish_reason == "tool_calls"
    assert calls[0].function is not None
    assert json.loads("".join(call.function.arguments or "" for call in calls if call.function)) is not None
    assert calls[0].function.name in {"get_weather", "stop_rain"}


@pytest.mark.parametrize(
    "extra",
    [
        {"tool_choice": "required"},
        {"tool_choice": {"type": "function", "function": {"name": "other"}}},
        {"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "other"}}},
        {"tools": TOOLS, "response_format": {"type": "json_object"}},
        {"response_format": {"type": "json_schema"}},
        {"response_format": {"type": "regex", "pattern": "("}},
        {"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "wizard"}}}},
    ],
)
def test_what_cannot_be_is_refused(client: openai.OpenAI, extra: dict[str, Any]) -> None:
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="fake", messages=MESSAGES, **extra)


def found_in(finder: CallFinder, text: str, size: int) -> tuple[str, list[dict[str, str]]]:
    """What is said and called in a text that comes in pieces of this size."""
    steps = [finder.push(text[begin : begin + size]) for begin in range(0, len(text), size)]
    steps.append(finder.finish())
    calls: list[dict[str, str]] = []
    for part in (part for _, parts in steps for part in parts):
        if part["index"] == len(calls):
            calls.append({"id": part["id"], **part["function"]})
        else:
            calls[part["index"]]["arguments"] += part["function"]["arguments"]
    return "".join(said for said, _ in steps), calls


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_calls_are_found_in_any_cut_of_the_text(size: int) -> None:
    call = '<tool_call>\n{"name": "f", "arguments": {"x": 1}}\n</tool_call>'
    for text, said, names in [
        ("Let me see. " + call + "\n" + call, "Let me see. ", ["f", "f"]),
        ("a < b <tool", "a < b <tool", []),
        ("x <tool_call>no json</tool_call>", "x <tool_call>no json</tool_call>", []),
        (call.removesuffix("</tool_call>"), "", ["f"]),
        (call + '\n<tool_call>\n{"name": "f", "arg', "", ["f"]),
    ]:
        out, calls = found_in(CallFinder(HERMES, ()), text, size)
        assert out == said
        assert [call["name"] for call in calls] == names


def test_templates_without_tools_get_them_as_text() -> None:
    conversation = [
        {"role": "user", "content": "hi"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "1", "content": "42"},
    ]
    body = ChatRequest.model_validate({"messages": conversation, "tools": TOOLS})
    messages = [message.plain() for message in body.messages]
    plain = ToolUse(body, "").messages(messages)
    assert [message["role"] for message in plain] == ["system", "user", "assistant", "user"]
    assert "get_weather" in plain[0]["content"]
    assert '{"name": "f", "arguments": {"x": 1}}' in plain[2]["content"]
    assert "42" in plain[3]["content"]
    assert ToolUse(body, "").format == EXPLAINED
    native = ToolUse(body, "{{ '<tool_call>' }}")
    assert native.messages(messages)[1]["tool_calls"][0]["function"]["arguments"] == {"x": 1}
    assert native.for_template is not None
