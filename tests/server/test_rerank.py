"""POST /v1/rerank: order, top_n, documents as objects, usage; what is out of bounds is refused."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.server.live import Live


def ask(live: Live, **body: Any) -> httpx.Response:
    return httpx.post(f"{live.url}/v1/rerank", json=body)


def test_the_best_come_first(live: Live) -> None:
    answer = ask(live, model="fake-reranker", query="abc", documents=["x", "abcabc", {"text": "ab"}, "x"])
    assert answer.status_code == 200
    body = answer.json()
    assert [result["index"] for result in body["results"]] == [1, 2, 0, 3]
    scores = [result["relevance_score"] for result in body["results"]]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    assert body["model"] == "fake-reranker"
    assert body["usage"]["total_tokens"] == body["usage"]["prompt_tokens"] > 0
    assert "document" not in body["results"][0]


def test_top_n_and_documents(live: Live) -> None:
    answer = ask(live, query="ab", documents=["x", {"text": "ab"}], top_n=1, return_documents=True)
    assert [(r["index"], r["document"]) for r in answer.json()["results"]] == [(1, {"text": "ab"})]
    assert len(ask(live, query="ab", documents=["x", "y"], top_n=1000).json()["results"]) == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"documents": []},
        {"documents": "abc"},
        {"documents": ["x"] * 1001},
        {"documents": ["x" * 100_001]},
        {"documents": [{"text": "x", "image": "y"}]},
        {"documents": [{}]},
        {"documents": [3]},
        {"documents": [None]},
        {"query": ""},
        {"query": ["x"]},
        {"query": "x" * 10_001},
        {"query": "x" * 60},
        {"top_n": 0},
        {"top_n": -1},
        {"top_n": 10**9},
        {"top_n": "many"},
        {"return_documents": "perhaps"},
        {"max_chunks_per_doc": 3},
        {"model": "x" * 1000},
    ],
)
def test_what_is_out_of_bounds_is_refused(live: Live, wrong: dict[str, Any]) -> None:
    answer = ask(live, **{"query": "abc", "documents": ["x"], **wrong})
    assert answer.status_code in {400, 422}
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert ask(live, query="abc", documents=["x"]).status_code == 200


def test_an_unknown_model_names_those_there_are(live: Live) -> None:
    answer = ask(live, model="fake-embedder", query="a", documents=["x"])
    assert answer.status_code == 404
    assert "fake-reranker" in answer.json()["error"]["message"]
    names = [model["id"] for model in httpx.get(f"{live.url}/v1/models").json()["data"]]
    assert "fake-reranker" in names
    assert httpx.get(f"{live.url}/v1/models/fake-reranker").json()["context_length"] == 64
