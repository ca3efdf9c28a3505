"""Memory that is not there fails one request, by a typed error; large bodies are not taken without it."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from sillar.engine import memory
from sillar.errors import ResourceError
from sillar.server.errors import ApiError, describe
from sillar.server.memory_guard import SMALL, MemoryGuard
from tests.server.live import Live, live_server

MIB = 1 << 20
CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def server() -> Iterator[Live]:
    with live_server() as live:
        yield live


@pytest.fixture(autouse=True)
def stays_well(server: Live) -> Iterator[None]:
    yield
    assert server.engine.active == 0
    body = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 5, "ignore_eos": True}
    assert httpx.post(server.url + CHAT, json=body).json()["usage"]["completion_tokens"] == 5


@pytest.mark.parametrize("error", [MemoryError(), ResourceError("no memory")])
@pytest.mark.parametrize("stream", [False, True])
def test_a_step_without_memory_fails_its_request(
    server: Live, error: Exception, stream: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    stepper: Any = server.engine._stepper
    step = stepper.step

    def short_of_memory(batch: Any, **options: Any) -> Any:
        if any(len(one.tokens) > 20 for one in batch):
            raise error
        return step(batch, **options)

    monkeypatch.setattr(stepper, "step", short_of_memory)
    body = {"messages": [{"role": "user", "content": "long " * 20}], "max_tokens": 2, "stream": stream}
    answer = httpx.post(server.url + CHAT, json=body)
    if stream:
        assert '"code":"resources_exhausted"' in answer.text
        assert "[DONE]" not in answer.text
    else:
        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "resources_exhausted"
        assert "retry-after" in answer.headers


def test_the_engine_s_thread_outlives_what_fails_between_steps(
    server: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker: Any = server.engine._worker
    with monkeypatch.context() as patch:
        patch.setattr(worker, "_take_commands", _raise_once(worker._take_commands))
        body = {"messages": [{"role": "user", "content": "x"}], "max_tokens": 300, "ignore_eos": True}
        assert httpx.post(server.url + CHAT, json=body).status_code in {200, 500}


def _raise_once(call: Any) -> Any:
    left = [1]

    def failing() -> None:
        call()
        if left:
            left.pop()
            raise MemoryError

    return failing


def test_large_bodies_wait_for_memory_and_small_ones_do_not(
    server: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server.state, "memory", MemoryGuard(lambda: 48 * MIB))

    def send(size: int, chunked: bool) -> httpx.Response:
        text = json.dumps({"messages": [{"role": "user", "content": "x" * 100}], "max_tokens": 1})
        content = text.encode() + b" " * (size - len(text))
        pieces = (content[i : i + 30_000] for i in range(0, size, 30_000))
        headers = {"content-type": "application/json"}
        return httpx.post(server.url + CHAT, content=pieces if chunked else content, headers=headers)

    for chunked in (False, True):
        assert send(SMALL, chunked).status_code == 200
        assert send(200_000, chunked).status_code == 200
        refused = send(MIB, chunked)
        assert refused.status_code == 503
        assert refused.json()["error"]["code"] == "resources_exhausted"
        assert "retry-after" in refused.headers


def test_what_was_promised_to_others_is_not_there() -> None:
    guard = MemoryGuard(lambda: 100 * MIB)
    with guard.admit(32) as first:
        first.grow(MIB)
        with guard.admit(32) as second:
            second.grow(SMALL)
            second.grow(MIB)
            with guard.admit(32) as third, pytest.raises(ApiError):
                third.grow(MIB)
        with guard.admit(32) as again:
            again.grow(MIB)


def test_the_limits_of_the_process_are_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    none = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    limits = {resource.RLIMIT_AS: none, resource.RLIMIT_DATA: none}
    monkeypatch.setattr(memory.resource, "getrlimit", limits.__getitem__)
    assert memory._process_available() == 1 << 62
    limits[resource.RLIMIT_DATA] = (1 << 50, 1 << 50)
    assert 1 << 49 < memory._process_available() < 1 << 50
    limits[resource.RLIMIT_AS] = (MIB, MIB)
    assert memory._process_available() == memory.available_memory() == 0


def test_a_thread_or_a_body_without_memory_is_said_so() -> None:
    parsing = ApiError(400, "There was an error parsing the body")
    parsing.__cause__ = MemoryError()
    for error in (RuntimeError("can't start new thread"), parsing, MemoryError()):
        status, body, headers = describe(error)
        assert (status, body["error"]["code"]) == (503, "resources_exhausted")
        assert "Retry-After" in headers


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/completions", {"prompt": ["word " * 100] * 128, "echo": True, "logprobs": 20, "max_tokens": 0}),
        ("/v1/completions", {"prompt": "x", "logprobs": 20, "n": 16, "max_tokens": 6000}),
        (
            CHAT,
            {
                "messages": [{"role": "user", "content": "x"}],
                "n": 16,
                "logprobs": True,
                "top_logprobs": 20,
                "max_tokens": 6000,
            },
        ),
    ],
)
def test_an_answer_has_a_bounded_number_of_log_probabilities(
    server: Live, path: str, body: dict[str, Any]
) -> None:
    answer = httpx.post(server.url + path, json=body)
    assert answer.status_code == 400
    assert "log-probabilities" in answer.json()["error"]["message"]
