"""The load that serve.py puts on a server: who asks what and when, over raw sockets, and what came back when.

The client shares the processors with the server, so it only stamps what it receives and reads it afterwards.
"""

from __future__ import annotations

import asyncio
import json
import pydoc_data.topics
import random
import re
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

SEED = 20261122
_READ = 1 << 16


@dataclass(frozen=True, slots=True)
class Shape:
    """Of the requests, in tokens. `groups` documents are shared; every request has its own question."""

    prompt: int = 1500
    shared: int = 1000
    answer: int = 100
    groups: int = 4


@dataclass(frozen=True, slots=True)
class Limits:
    """What a request must keep to count as good, in seconds."""

    first_token: float = 2.0
    per_token: float = 0.130


@dataclass(slots=True)
class Request:
    """A completion to ask for at `at` seconds, and the bytes that came back, each with its time."""

    at: float
    prompt: str
    answer: int
    seed: int
    began: float = 0.0
    received: list[tuple[float, bytes]] = field(default_factory=list)
    error: str = ""

    def body(self) -> bytes:
        """Sampled, so that no answer runs into a loop that drafting would profit from."""
        return json.dumps(
            {
                "prompt": self.prompt,
                "max_tokens": self.answer,
                "temperature": 0.8,
                "top_k": 40,
                "top_p": 0.95,
                "seed": self.seed,
                "stream": True,
                "stream_options": {"include_usage": True},
                "ignore_eos": True,
            }
        ).encode()


@dataclass(frozen=True, slots=True)
class Timing:
    """One request's figures, in seconds; `first` None: no token came."""

    first: float | None
    per_token: float | None
    gaps: tuple[float, ...]
    tokens: int
    whole: bool

    def good(self, limits: Limits) -> bool:
        if not self.whole or self.first is None or self.per_token is None:
            return False
        return self.first < limits.first_token and self.per_token < limits.per_token


class Texts:
    """Texts of a wanted number of tokens, cut from the Python language's reference, which Python carries."""

    def __init__(self, encode: Callable[[str], list[int]], seed: int) -> None:
        self._encode = encode
        reference = "\n".join(pydoc_data.topics.topics.values())
        self._source = re.sub(r"[*=+|-]{2,}", "", re.sub(r" +", " ", reference))
        self._random = random.Random(seed)

    def take(self, tokens: int) -> str:
        """About `tokens` tokens, from a place of its own."""
        begin = self._random.randrange(len(self._source) - 12 * tokens)
        text = self._source[begin : begin + 12 * tokens]
        low, high = 0, len(text)
        while low < high:  # the longest beginning that has no more tokens than wanted
            middle = (low + high + 1) // 2
            if len(self._encode(text[:middle])) <= tokens:
                low = middle
            else:
                high = middle - 1
        return text[:low]


def plan(
    texts: Texts, shape: Shape, rate: float, seconds: float, seed: int
) -> tuple[list[str], list[Request]]:
    """The shared documents, and requests that arrive at `rate` a second.

    A Poisson process, given that as many arrive as are expected: so that a short run's load is not luck.
    """
    generator = random.Random(seed)
    documents = [texts.take(shape.shared) for _ in range(shape.groups)]
    times = sorted(generator.uniform(0, seconds) for _ in range(max(1, round(rate * seconds))))
    requests = []
    for number, at in enumerate(times):
        prompt = generator.choice(documents) + "\n\n" + texts.take(shape.prompt - shape.shared)
        requests.append(Request(at, prompt, shape.answer, number))
    return documents, requests


async def run(
    port: int, requests: Sequence[Request], patience: float, least_good: int | None = None
) -> float:
    """Sends each request at its time; the seconds that it took in all.

    Those that are unfinished `patience` seconds after the last are given up; all of them, once fewer than
    `least_good` can keep the limits. What was never sent has `began` 0.
    """
    begin = time.perf_counter()
    tasks = {asyncio.create_task(_at(port, request, begin)): request for request in requests}
    end = begin + max(request.at for request in requests) + patience
    pending, bad = set(tasks), 0
    while pending and (left := end - time.perf_counter()) > 0:
        finished, pending = await asyncio.wait(pending, timeout=min(left, 1.0))
        bad += sum(not timing(tasks[task]).good(Limits()) for task in finished)
        if least_good is not None and len(requests) - bad < least_good:
            break
    for task in pending:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return time.perf_counter() - begin


async def ask(port: int, request: Request) -> Timing:
    """One request, to its end."""
    await _at(port, request, time.perf_counter() - request.at)
    return timing(request)


async def _at(port: int, request: Request, begin: float) -> None:
    body = request.body()
    await asyncio.sleep(begin + request.at - time.perf_counter())
    request.began = time.perf_counter()
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError as error:
        request.error = str(error)
        return
    try:
        head = f"POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        while data := await reader.read(_READ):
            request.received.append((time.perf_counter(), data))
            if data.endswith(b"0\r\n\r\n"):
                break
    except OSError as error:
        request.error = str(error)
    finally:
        writer.close()


def refused(request: Request) -> bool:
    """Answered 429 and told when to come again."""
    head = b"".join(data for _, data in request.received[:2]).lower()
    return head.startswith(b"http/1.1 429") and b"retry-after:" in head


def timing(request: Request) -> Timing:
    """What the bytes say."""
    stamps: list[float] = []
    tokens, done = 0, False
    for at, data in _events(request):
        if data == b"[DONE]":
            done = True
            continue
        event = json.loads(data)
        if "error" in event:
            request.error = str(event["error"])
        if (event.get("usage") or {}).get("completion_tokens"):
            tokens = event["usage"]["completion_tokens"]
        if any(choice.get("text") for choice in event.get("choices", ())):
            stamps.append(at)
    if not request.error and request.received and not request.received[0][1].startswith(b"HTTP/1.1 200"):
        request.error = request.received[0][1][:300].decode(errors="replace")
    if not stamps:
        return Timing(None, None, (), 0, False)
    tokens = tokens or len(stamps)
    per_token = (stamps[-1] - stamps[0]) / (tokens - 1) if tokens > 1 else None
    gaps = tuple(later - sooner for sooner, later in pairwise(stamps))
    return Timing(stamps[0] - request.began, per_token, gaps, tokens, done and not request.error)


def _events(request: Request) -> Iterator[tuple[float, bytes]]:
    """Server-sent events out of chunked HTTP, each with the time when its end arrived."""
    ends, at = [], 0
    for _, data in request.received:
        at += len(data)
        ends.append(at)
    whole = b"".join(data for _, data in request.received)
    piece = 0
    begin = whole.find(b"data: ")
    while begin >= 0:
        end = whole.find(b"\n\n", begin)
        if end < 0:
            return
        while ends[piece] < end + 2:
            piece += 1
        yield request.received[piece][0], whole[begin + 6 : end]
        begin = whole.find(b"data: ", end)


def figures(requests: Sequence[Request], window: float, elapsed: float, limits: Limits) -> dict[str, Any]:
    """Of one server under one load. A request without an answer counts with the time it waited in vain."""
    timings = [timing(request) for request in requests]
    firsts = [
        elapsed - request.at if t.first is None else t.first
        for request, t in zip(requests, timings, strict=True)
        if not refused(request)
    ]
    per_token = [t.per_token for t in timings if t.per_token is not None]
    gaps = [gap for t in timings for gap in t.gaps]
    good = sum(t.good(limits) for t in timings)
    return {
        "requests": len(requests),
        "finished": sum(t.whole for t in timings),
        "refused": sum(map(refused, requests)),
        "errors": sum(bool(request.error) for request in requests),
        "good": good,
        "goodput_rps": good / window,
        "tokens_per_s": sum(t.tokens for t in timings) / elapsed,
        "ttft_s": _spread(firsts),
        "tpot_s": _spread(per_token),
        "gap_s": _spread(gaps),
    }


def _spread(values: Sequence[float]) -> dict[str, float] | None:
    """Median and 95th percentile; of few values the latter is the largest."""
    if not values:
        return None
    ordered = sorted(values)
    return {
        "p50": statistics.median(ordered),
        "p95": ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))],
    }
