"""A real limit on memory (RLIMIT_DATA) under a real model: requests fail, typed; the server lives."""

from __future__ import annotations

import json
import os
import resource
import signal
from pathlib import Path

import httpx
import pytest

pytest.importorskip("sillar._native")

from tests.evidence.conftest import serve
from tests.server.target import resident

pytestmark = pytest.mark.slow
ROOM = 16 << 20
WORDS = "word " * 700_000
SCORED = {"prompt": "word " * 600, "echo": True, "logprobs": 5, "max_tokens": 0}
CHAT = "/v1/chat/completions"
HOSTILE = {
    "a long prompt": ("/v1/completions", json.dumps({"prompt": WORDS, "max_tokens": 1})),
    "a long message": (CHAT, json.dumps({"messages": [{"role": "user", "content": WORDS}]})),
    "a million lists": (CHAT, '{"messages":[' + "[]," * 1_000_000 + "1]}"),
    "many texts": ("/v1/embeddings", json.dumps({"input": ["x " * 900] * 2000})),
}


def data_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[5]) * os.sysconf("SC_PAGE_SIZE")


def ask(client: httpx.Client) -> str:
    """An honest request."""
    body = {"messages": [{"role": "user", "content": "What is the capital of France?"}], "max_tokens": 8}
    answer = client.post(CHAT, json=body)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["choices"][0]["message"]["content"])


def test_requests_fail_for_want_of_memory_and_the_server_lives(
    chat_model: Path, embedding_model: Path
) -> None:
    headers = {"content-type": "application/json"}
    with (
        serve(chat_model, embedding_model) as server,
        httpx.Client(base_url=server.url, headers=headers, timeout=120) as client,
    ):
        pid = server.process.pid
        right = ask(client)
        before = resident(pid)
        limit = data_bytes(pid) + ROOM
        resource.prlimit(pid, resource.RLIMIT_DATA, (limit, resource.RLIM_INFINITY))
        assert client.post("/v1/completions", json=SCORED).status_code == 200  # its logits would be 113 MiB
        for name, (path, body) in HOSTILE.items():
            answer = client.post(path, content=body)
            assert answer.status_code == 503, (name, answer.text[:300])
            assert answer.json()["error"]["code"] == "resources_exhausted"
            assert "retry-after" in answer.headers
            assert client.get("/health").status_code == 200
            assert ask(client) == right
        assert resident(pid) <= 1.05 * before
        resource.prlimit(pid, resource.RLIMIT_DATA, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        refused = client.post("/v1/completions", json={"prompt": WORDS})
        assert refused.json()["error"]["code"] == "context_length_exceeded"
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) == 0
