"""The table of what of OpenAI's API is here says what the server does."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from openai.types import completion_create_params, embedding_create_params
from openai.types.chat import completion_create_params as chat_params
from openai.types.responses import response_create_params

from sillar.server.coverage import FIELDS, ROUTES, state_of
from tests.server.live import Live

HONEST: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "x"}], "max_tokens": 1},
    "/v1/completions": {"prompt": "x", "max_tokens": 1},
    "/v1/embeddings": {"input": "x"},
    "/v1/responses": {"input": "x", "max_output_tokens": 1, "store": False},
}
OFFICIAL = {
    "/v1/chat/completions": chat_params.CompletionCreateParamsBase,
    "/v1/completions": completion_create_params.CompletionCreateParamsBase,
    "/v1/embeddings": embedding_create_params.EmbeddingCreateParams,
    "/v1/responses": response_create_params.ResponseCreateParamsBase,
}


@pytest.mark.parametrize("route", FIELDS)
def test_fields_are_answered_as_the_table_says(live: Live, route: str) -> None:
    with httpx.Client(base_url=live.url) as client:
        assert client.post(route, json=HONEST[route]).status_code == 200
        for name in FIELDS[route][1]:
            state, note = state_of(route, name)
            if state == "yes":
                continue
            answer = client.post(route, json={**HONEST[route], name: "x"})
            assert answer.status_code == (200 if state == "ignored" else 400), (name, answer.text[:300])
            assert state == "ignored" or note == "unknown here" or note in answer.json()["error"]["message"]


@pytest.mark.parametrize("route", FIELDS)
def test_what_the_official_client_knows_beyond_the_table_is_refused(live: Live, route: str) -> None:
    with httpx.Client(base_url=live.url) as client:
        for name in OFFICIAL[route].__annotations__.keys() - {*FIELDS[route][1], *HONEST[route]}:
            answer = client.post(route, json={**HONEST[route], name: "x"})
            assert answer.status_code == 400, (name, answer.text[:300])


def test_routes_are_there_or_not_as_the_table_says(live: Live) -> None:
    known = httpx.get(f"{live.url}/openapi.json").json()["paths"]
    there = {f"{method.upper()} {path}" for path, methods in known.items() for method in methods}
    with httpx.Client(base_url=live.url) as client:
        for route, why in ROUTES:
            if not why:
                assert route in there, route
                continue
            method = "POST" if "POST" in route else "GET"
            method = "DELETE" if route.startswith("DELETE") else method
            for path in re.findall(r"/v1/[a-z_/]+(?:\{[a-z]+\}[/a-z]*)?", route):
                answer = client.request(method, re.sub(r"\{[a-z]+\}", "none", path), json={})
                assert answer.status_code in {404, 405}, (route, path, answer.text)
