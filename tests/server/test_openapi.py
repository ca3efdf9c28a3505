"""Requests made up from our own OpenAPI: none is answered 500, none kills the server."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from sillar.server.auth import Client, KeyStore
from tests.server.live import Live, live_server

HEADERS = {"Authorization": "Bearer ana"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("documents") / "docs"
    folder.mkdir()
    (folder / "handbook.md").write_text("# Hours\n\nWe open at nine.\n")
    keys = KeyStore({sha256(b"ana").hexdigest(): Client("ana", "ana")})
    with live_server(documents=folder, keys=keys) as live:
        yield live


def operations(server: Live) -> dict[str, Any]:
    description = httpx.get(f"{server.url}/openapi.json", headers=HEADERS).json()
    schema = schemathesis.openapi.from_dict(description)
    return {
        f"{operation.ok().method.upper()} {operation.ok().path}": operation.ok()
        for operation in schema.get_all_operations()
    }


@pytest.mark.slow
def test_no_made_up_request_is_answered_500(server: Live) -> None:
    found = operations(server)
    assert {"POST /v1/chat/completions", "POST /v1/responses", "POST /v1/ask"} <= found.keys()
    generated = {name: operation.as_strategy() for name, operation in found.items()}
    failures: dict[str, str] = {}
    seen: dict[str, set[int]] = {name: set() for name in found}
    with httpx.Client(base_url=server.url, headers=HEADERS) as client:

        def call(name: str, case: Any) -> None:
            try:
                answer = send(client, case)
            except (httpx.InvalidURL, UnicodeEncodeError, ValueError):
                return  # what the client itself refuses to send
            seen[name].add(answer.status_code)
            wrong = answer.status_code in {500, 502, 504}
            if wrong or (answer.status_code >= 400 and "error" not in answer.json()):
                failures.setdefault(name, f"{answer.text[:300]} for {str(case.body)[:500]}")

        for name, strategy in generated.items():
            run(strategy, lambda case, name=name: call(name, case))
    assert failures == {}
    assert httpx.get(f"{server.url}/health").status_code == 200
    assert 200 in seen["POST /v1/chat/completions"] | seen["POST /v1/completions"]


def run(strategy: Any, call: Any) -> None:
    """The same few examples each time."""

    @seed(20261122)
    @settings(
        max_examples=15,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=strategy, odd=st.booleans())
    def examples(case: Any, odd: bool) -> None:
        if isinstance(case.body, dict):
            # Short answers, where the body lets us say so.
            case.body = {**case.body, "max_tokens": 3} if "messages" in case.body else case.body
        call(case)

    examples()


def send(client: httpx.Client, case: Any) -> httpx.Response:
    arguments = case.as_transport_kwargs(base_url=str(client.base_url))
    allowed = ("method", "url", "headers", "params", "json", "data", "content")
    kept = {name: value for name, value in arguments.items() if name in allowed and value is not None}
    data = kept.pop("data", None)
    if isinstance(data, (bytes, str)):
        kept["content"] = data
    kept["headers"] = {**dict(kept.get("headers") or {}), **HEADERS}
    kept.pop("cookies", None)
    return client.request(**kept)
