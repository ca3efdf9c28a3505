"""serve.py's load: what is asked when, and that the figures are those of the bytes that came back."""

import asyncio
import json
import random
import re
import time
from types import SimpleNamespace

import pytest

pytest.importorskip("sillar._native")

from benchmarks import load, serve
from benchmarks.load import Limits, Request, Shape

SHAPE = Shape(prompt=60, shared=40, answer=4, groups=2)


def words(text: str) -> list[int]:
    return [0] * len(re.findall(r"\S+", text))


def texts(seed: int = 1) -> load.Texts:
    return load.Texts(words, seed)


def test_as_many_arrive_as_are_expected_and_the_groups_share_their_documents():
    documents, requests = load.plan(texts(), SHAPE, rate=2, seconds=10, seed=3)
    assert len(documents) == 2
    assert len(requests) == 20
    times = [request.at for request in requests]
    assert times == sorted(times)
    assert all(0 <= at <= 10 for at in times)
    for request in requests:
        assert request.prompt.startswith(tuple(documents))
        assert 55 <= len(words(request.prompt)) <= 60
    assert len({request.prompt for request in requests}) == 20


def test_the_same_seed_gives_the_same_load():
    first, second = (load.plan(texts(), SHAPE, 1, 5, 3)[1] for _ in range(2))
    assert [(r.at, r.prompt) for r in first] == [(r.at, r.prompt) for r in second]


def event(text: str = "", usage: int = 0) -> bytes:
    body = {
        "choices": [{"text": text}] if text else [],
        **({"usage": {"completion_tokens": usage}} if usage else {}),
    }
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def received(*pieces: tuple[float, bytes]) -> Request:
    request = Request(0, "x", 4, 0, began=10.0)
    request.received = [(10.0, b"HTTP/1.1 200 OK\r\n\r\n"), *pieces]
    return request


def test_times_are_those_of_each_events_last_byte():
    first = event("a")
    request = received(
        (10.5, first[:9]), (10.6, first[9:]), (10.7, event("b")), (10.9, event("cd") + event(usage=4)),
        (11.0, b"data: [DONE]\n\n"),
    )  # fmt: skip
    timing = load.timing(request)
    assert timing.whole
    assert timing.tokens == 4
    assert timing.first == pytest.approx(0.6)
    assert timing.per_token == pytest.approx(0.1)
    assert timing.gaps == pytest.approx((0.1, 0.2))
    assert timing.good(Limits(first_token=0.7, per_token=0.11))
    assert not timing.good(Limits(first_token=0.5, per_token=0.11))
    assert not timing.good(Limits(first_token=0.7, per_token=0.09))


def test_what_was_cut_off_or_refused_is_not_good():
    cut = received((10.1, event("a")), (10.2, event("b")))
    assert not load.timing(cut).good(Limits())
    refused = Request(0, "x", 4, 0, began=10.0)
    refused.received = [(10.1, b'HTTP/1.1 429 Too Many Requests\r\n\r\n{"error": {}}')]
    assert not load.timing(refused).whole
    assert "429" in refused.error
    figures = load.figures([cut, refused], window=10, elapsed=30, limits=Limits())
    assert (figures["good"], figures["finished"], figures["errors"]) == (0, 0, 1)
    assert figures["ttft_s"]["p95"] == 30  # the one without a token waited all the time


async def answering(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = int(re.search(r"Content-Length: (\d+)", head)[1])
    asked = json.loads(await reader.readexactly(length))
    if asked["seed"] == 1:  # never answered
        await asyncio.Event().wait()
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for data in [event("w")] * asked["max_tokens"] + [event(usage=asked["max_tokens"]), b"data: [DONE]\n\n"]:
        writer.write(b"%x\r\n%s\r\n" % (len(data), data))
    writer.write(b"0\r\n\r\n")
    await writer.drain()
    writer.close()


async def test_a_load_over_sockets_gives_up_what_is_not_answered(monkeypatch):
    def clock() -> float:
        """Hours later, as soon as the others are answered."""
        whole = sum(
            request.received[-1][1].endswith(b"0\r\n\r\n") for request in requests if request.received
        )
        return time.perf_counter() + (3600 if whole == 3 else 0)

    monkeypatch.setattr(load, "time", SimpleNamespace(perf_counter=clock))
    server = await asyncio.start_server(answering, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    requests = [Request(random.random() / 10, "question", 5, number) for number in range(4)]
    elapsed = await load.run(port, requests, patience=1800)
    server.close()
    figures = load.figures(requests, 0.1, elapsed, Limits(first_token=600, per_token=600))
    assert figures["finished"] == 3
    assert figures["good"] == 3
    assert load.timing(requests[0]).tokens == 5


async def test_a_load_that_cannot_be_carried_any_more_ends_early():
    server = await asyncio.start_server(refusing, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    requests = [Request(0 if number < 2 else 3600, "question", 5, number) for number in range(10)]
    elapsed = await load.run(port, requests, patience=60, least_good=9)
    server.close()
    assert elapsed < 60
    assert [request.began > 0 for request in requests] == [True] * 2 + [False] * 8


async def refusing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\n\r\n")
    writer.close()


def test_a_server_sustains_the_heaviest_load_that_it_carried():
    loads = ((0.1, {"a": True, "b": False}), (0.2, {"a": True}), (0.4, {"a": False}))
    rows = [
        {"engines": {name: {"rate_rps": rate, "kept": yes} for name, yes in kept.items()}}
        for rate, kept in loads
    ]
    assert serve.sustained(rows, "a") == 0.2
    assert serve.sustained(rows, "b") == 0


def test_the_table_shows_both_engines_and_a_dash_for_what_is_missing():
    figures = load.figures([received()], window=1, elapsed=2, limits=Limits())
    text = serve.table([{"users": 8, "engines": {"sillar": figures, "llama-server": figures}}])
    assert text.splitlines()[-1].startswith("| 8 | 0.00 / 0.00 |")
    assert text.endswith("| - / - |")
