"""Calls as Llama 3 and Mistral write them: found in streams, laid out by templates, required by grammar."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from sillar.chat_template import ChatTemplate
from sillar.server.call_finder import CallFinder
from sillar.server.chat_types import ChatRequest
from sillar.server.tool_formats import EXPLAINED, HERMES, LLAMA_3, MISTRAL, closed, format_of
from sillar.server.tools import ToolUse
from tests.packages import llama_cpp_models
from tests.server.live import Live, live_server
from tests.server.test_structured import EMPTY, MESSAGES, TOOLS, found_in

NAMES = {"get_weather", "stop_rain"}
LLAMA_SOURCE = "<|start_header_id|> tool_calls {{- '\"parameters\": ' }}"
MISTRAL_SOURCE = "{{- '[TOOL_CALLS][' }}"
PART = '{"city": "São \\"}{ Paulo", "days": [1, {"a": 2}]}'


def template(name: str) -> ChatTemplate:
    source = (llama_cpp_models() / "templates" / f"{name}.jinja").read_text("utf-8")
    return ChatTemplate(source, bos_token="<s>", eos_token="</s>")


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("meta-llama-Llama-3.1-8B-Instruct", LLAMA_3),
        ("meta-llama-Llama-3.2-3B-Instruct", LLAMA_3),
        ("meta-llama-Llama-3.3-70B-Instruct", LLAMA_3),
        ("mistralai-Mistral-Nemo-Instruct-2407", MISTRAL),
        ("Qwen-Qwen2.5-7B-Instruct", HERMES),
        ("Qwen-Qwen3-0.6B", HERMES),
        ("NousResearch-Hermes-3-Llama-3.1-8B-tool_use", HERMES),
        ("Mistral-Small-3.2-24B-Instruct-2506", EXPLAINED),
        ("google-gemma-2-2b-it", EXPLAINED),
    ],
)
def test_the_template_says_the_format(name: str, form: object) -> None:
    assert format_of(template(name).source) == form


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
@pytest.mark.parametrize(
    ("form", "text", "said", "names", "arguments"),
    [
        (LLAMA_3, f'{{"name": "get_weather", "parameters": {PART}}}', "", ["get_weather"], PART),
        (LLAMA_3, f'\n {{ "name" : "get_weather" , "parameters" : {PART} }}\n', "", ["get_weather"], PART),
        (LLAMA_3, f'<|python_tag|>{{"name": "stop_rain", "parameters": {PART}}}', "", ["stop_rain"], PART),
        (LLAMA_3, '{"name": "Ana", "parameters": {}}', '{"name": "Ana", "parameters": {}}', [], ""),
        (LLAMA_3, '{"answer": 3}', '{"answer": 3}', [], ""),
        (LLAMA_3, "It is {hot}.", "It is {hot}.", [], ""),
        (MISTRAL, f'[{{"name": "get_weather", "arguments": {PART}}}]', "", ["get_weather"], PART),
        (
            MISTRAL,
            f'[TOOL_CALLS][{{"name": "get_weather", "arguments": {PART}}}, '
            '{"name": "stop_rain", "arguments": {}, "id": "123456789"}]',
            "",
            ["get_weather", "stop_rain"],
            PART,
        ),
        (MISTRAL, "[1] says so.", "[1] says so.", [], ""),
        (MISTRAL, "[", "[", [], ""),
        (HERMES, f'<tool_call>{{"arguments": {PART}, "name": "x"}}</tool_call>', "", ["x"], None),
        (HERMES, '<tool_call>{"name": "x"}</tool_call>', "", ["x"], "{}"),
        (HERMES, '<tool_call>{"name": "x", "arguments": "{}"}</tool_call>', "", ["x"], "{}"),
    ],
)
def test_calls_are_found_while_they_stream(
    form: Any, text: str, said: str, names: list[str], arguments: str | None, size: int
) -> None:
    out, calls = found_in(CallFinder(form, NAMES), text, size)
    assert out == said
    assert [call["name"] for call in calls] == names
    if calls:
        assert json.loads(calls[0]["arguments"]) == json.loads(arguments or PART)
        assert len({call["id"] for call in calls}) == len(calls)


def test_arguments_come_as_they_are_written() -> None:
    finder = CallFinder(LLAMA_3, NAMES)
    assert finder.push('{"name": "get_weather", "parameters": ')[1] == []
    [begin] = finder.push('{"unit":')[1]
    assert begin["function"] == {"name": "get_weather", "arguments": '{"unit":'}
    assert finder.push(' "C"')[1] == [{"index": 0, "function": {"arguments": ' "C"'}}]
    assert finder.push("}}")[1] == [{"index": 0, "function": {"arguments": "}"}}]
    assert finder.finish() == ("", [])


CONVERSATION: Any = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "Weather in Lima and Cusco?"},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": f"call_{i}", "type": "function", "function": {"name": "f", "arguments": f'{{"x": {i}}}'}}
            for i in range(2)
        ],
    },
    {"role": "tool", "tool_call_id": "call_0", "content": "21"},
    {"role": "tool", "tool_call_id": "call_1", "content": "9"},
]


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("meta-llama-Llama-3.1-8B-Instruct", '{"name": "f", "parameters": {"x": 1}}'),
        ("mistralai-Mistral-Nemo-Instruct-2407", '[TOOL_CALLS][{"name": "f", "arguments": {"x": 0}, "id": "'),
        ("Qwen-Qwen2.5-7B-Instruct", '<tool_call>\n{"name": "f", "arguments": {"x": 1}}\n</tool_call>'),
    ],
)
def test_real_templates_take_calls_and_results(name: str, written: str) -> None:
    chat = template(name)
    body = ChatRequest.model_validate({"messages": CONVERSATION, "tools": TOOLS})
    use = ToolUse(body, chat.source)
    text = chat.render(use.messages([message.plain() for message in body.messages]), use.for_template)
    assert written in text
    assert "get_weather" in text
    assert "21" in text


@pytest.fixture(scope="module")
def server() -> Iterator[Live]:
    with live_server() as live:
        yield live


@pytest.mark.parametrize("source", [LLAMA_SOURCE, MISTRAL_SOURCE, "<tool_call>", ""])
@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "get_weather"}}])
def test_required_calls_in_every_format(server: Live, source: str, choice: Any) -> None:
    codec: Any = server.state.language_models["fake"].codec
    codec.template_source = source
    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="unused", max_retries=0)
    parameters = {"type": "object", "properties": {"unit": {"enum": ["C", "F"]}}, "required": ["unit"]}
    tools: Any = [
        {"type": "function", "function": {"name": "get_weather", "parameters": parameters}},
        {"type": "function", "function": {"name": "stop_rain", "parameters": EMPTY}},
    ]
    asked: Any = {"model": "fake", "messages": MESSAGES, "tools": tools, "tool_choice": choice,
                  "temperature": 1, "seed": 4}  # fmt: skip
    answer = client.chat.completions.create(**asked)
    assert answer.choices[0].finish_reason == "tool_calls"
    assert answer.choices[0].message.content is None
    [call] = answer.choices[0].message.tool_calls or []
    assert call.type == "function"
    # Nothing beyond what the schema describes, though it does not forbid more.
    assert json.loads(call.function.arguments).keys() <= {"unit"}
    with client.chat.completions.stream(**asked) as stream:
        for _ in stream:
            pass
        streamed: Any = stream.get_final_completion().choices[0].message.tool_calls
    assert [one.function.arguments for one in streamed] == [call.function.arguments]


def test_several_calls_where_they_are_asked_for(server: Live) -> None:
    body = {"messages": MESSAGES, "tools": TOOLS, "tool_choice": "required"}
    for source, rule in ((MISTRAL_SOURCE, '", " body'), ("", '"\\n" call')):
        one = ToolUse(ChatRequest.model_validate(body), source).grammar
        several = ToolUse(ChatRequest.model_validate({**body, "parallel_tool_calls": True}), source).grammar
        assert one is not None
        assert several is not None
        assert rule not in one.text
        assert rule in several.text


def test_schemas_are_closed_where_that_is_safe() -> None:
    inner = {"type": "object", "properties": {"a": {"type": "string"}}}
    schema = {"type": "object", "properties": {"x": inner, "y": {"type": "array", "items": inner}}}
    out = closed(schema)
    assert out["additionalProperties"] is False
    assert out["properties"]["x"]["additionalProperties"] is False
    assert out["properties"]["y"]["items"]["additionalProperties"] is False
    assert closed({**schema, "additionalProperties": True})["additionalProperties"] is True
    assert closed({"allOf": [inner], **schema}) == {"allOf": [inner], **schema}
    assert "additionalProperties" not in schema
