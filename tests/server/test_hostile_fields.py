"""Absurd values on every route, and hostile grammars: answered, and survived."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.server.target import MESSAGES, Target

pytestmark = pytest.mark.usefixtures("stays_well")

NAN = float("nan")
ROUTES: dict[str, tuple[dict[str, Any], dict[str, list[Any]]]] = {
    "/v1/completions": (
        {"prompt": "x", "max_tokens": 2},
        {
            "logprobs": [10**9, -1, NAN],
            "n": [10**9, -1],
            "best_of": [10**9],
            "max_tokens": [2**31, -1, 10**400],
            "prompt": [[], [[]], ["x"] * 10**5, [-1], [10**12], [2**31 - 1], [[1], "x"], {"a": 1}],
            "temperature": [NAN, -1],
            "suffix": ["x"],
            "stop": [["x"] * 10**5],
        },
    ),
    "/v1/embeddings": (
        {"input": "x"},
        {
            "input": [[], ["x"] * 10**5, ["x" * 10**6], [1, 2], {"a": 1}],
            "dimensions": [10**9, -1, 3, NAN],
            "encoding_format": ["hex"],
            "input_type": ["wizard"],
        },
    ),
    "/v1/responses": (
        {"input": "x", "max_output_tokens": 2},
        {
            "input": [[], [{"role": "user", "content": "x"}] * 10**5, [{"type": "wizard"}], 3],
            "max_output_tokens": [2**31, -1, NAN],
            "temperature": [NAN, 10**400],
            "top_logprobs": [10**9],
            "tools": [[{"type": "function", "name": "f"}] * 1000],
            "metadata": [{"x" * 1000: "y"}],
            "text": [{"format": {"type": "json_schema", "name": "x", "schema": 3}}],
        },
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("route", ROUTES)
def test_absurd_values_are_answered_400(server: Target, route: str) -> None:
    honest, fields = ROUTES[route]
    assert httpx.post(server.url + route, json=honest).status_code == 200
    for field, values in fields.items():
        for value in values:
            body = json.dumps({**honest, field: value})
            headers = {"content-type": "application/json"}
            answer = httpx.post(server.url + route, content=body, headers=headers)
            assert answer.status_code == 400, (field, str(value)[:50], answer.text[:300])
            assert len(answer.content) < 2000


HONEST: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": MESSAGES, "max_tokens": 2},
    **{route: honest for route, (honest, _) in ROUTES.items()},
    "/v1/rerank": {"query": "x", "documents": ["x"]},
    "/tokenize": {"prompt": "x"},
    "/detokenize": {"tokens": [1]},
}


@pytest.mark.slow
@pytest.mark.parametrize("route", HONEST)
def test_numbers_that_are_none_or_without_bounds_in_every_field(server: Target, route: str) -> None:
    headers = {"content-type": "application/json"}
    with httpx.Client(base_url=server.url, headers=headers) as client:
        description = client.get("/openapi.json").json()
        schema = description["paths"][route]["post"]["requestBody"]["content"]["application/json"]["schema"]
        fields = description["components"]["schemas"][schema["$ref"].rpartition("/")[2]]["properties"]
        assert fields
        for field in fields:
            for value in (NAN, float("inf"), -float("inf"), 10**400, -(10**400), -(10**9), 1e308):
                answer = client.post(route, content=json.dumps({**HONEST[route], field: value}))
                refused = answer.status_code == 400 and len(answer.content) < 2000
                assert refused or (value == -(10**9) and field == "seed"), (field, value, answer.text[:300])


TREE: Any = {"$defs": {"t": {"type": "array", "items": {"$ref": "#/$defs/t"}}}, "$ref": "#/$defs/t"}
LOOP: Any = {"$defs": {"t": {"$ref": "#/$defs/t"}}, "$ref": "#/$defs/t"}


@pytest.mark.parametrize(
    "form",
    [
        {"type": "regex", "pattern": "("},
        {"type": "regex", "pattern": "(a|aa)+$" * 500},
        {"type": "regex", "pattern": "((((a{1,1000}){1,1000}){1,1000}){1,1000})"},
        {"type": "regex", "pattern": "(?=a)b"},
        {"type": "json_schema", "json_schema": {"schema": TREE}},
        {"type": "json_schema", "json_schema": {"schema": LOOP}},
        {"type": "json_schema", "json_schema": {"schema": {"$ref": "http://127.0.0.1:1/x"}}},
        {"type": "json_schema", "json_schema": {"schema": {"enum": [str(i) for i in range(20_000)]}}},
        {"type": "json_schema", "json_schema": {"schema": {"pattern": "(a*)*b", "type": "string"}}},
    ],
)
def test_hostile_grammars_are_compiled_or_refused(server: Target, form: dict[str, Any]) -> None:
    body = {"messages": MESSAGES, "max_tokens": 5, "response_format": form}
    answer = httpx.post(f"{server.url}/v1/chat/completions", json=body)
    assert answer.status_code in {200, 400}, answer.text[:300]
