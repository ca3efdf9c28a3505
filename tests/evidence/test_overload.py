"""Far more asked than a real model can answer: refused in good order, and nothing is left over.

SILLAR_TEST_OVERLOAD_SECONDS=60 for a minute of it. Times are benchmarks/overload.py's business.
"""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path

import httpx
import pytest

pytest.importorskip("sillar._native")

from tests.evidence.conftest import serve
from tests.evidence.test_memory_limit import ask
from tests.server.target import resident, until

pytestmark = pytest.mark.slow
SECONDS = float(os.environ.get("SILLAR_TEST_OVERLOAD_SECONDS", "4"))
PER_SECOND = 25  # prompts of a thousand tokens: whatever the processor, it is too much
KV_TOKENS = 4096


def body(number: int, tokens: int) -> dict[str, object]:
    return {"prompt": f"{number}" + " word" * 1000, "max_tokens": tokens, "ignore_eos": True}


async def overload(url: str) -> list[httpx.Response]:
    """An open loop: nobody waits for the answers of others. /health answers all the while."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=300) as client:
        asked = []
        for number in range(round(PER_SECOND * SECONDS)):
            asked.append(asyncio.create_task(client.post("/v1/completions", json=body(1000 + number, 40))))
            await asyncio.sleep(1 / PER_SECOND)
            if number % PER_SECOND == 0:
                assert (await client.get("/health")).status_code == 200
        return await asyncio.gather(*asked)


def test_those_let_in_are_answered_the_others_told_when_to_come_again(
    chat_model: Path, embedding_model: Path
) -> None:
    with (
        serve(chat_model, embedding_model, kv_tokens=KV_TOKENS) as server,
        httpx.Client(base_url=server.url, timeout=300) as client,
    ):
        right = ask(client)
        for number in range(KV_TOKENS // 1000 + 1):  # all of the cache has been written once
            assert client.post("/v1/completions", json=body(number, 1)).status_code == 200
        before = resident(server.process.pid)
        answers = asyncio.run(overload(server.url))
        refused = [answer for answer in answers if answer.status_code == 429]
        served = [answer for answer in answers if answer.status_code == 200]
        assert len(refused) + len(served) == len(answers)
        assert served
        assert len(refused) > len(served)
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
        assert all(answer.json()["error"]["code"] == "overloaded" for answer in refused)
        assert all(answer.json()["usage"]["completion_tokens"] == 40 for answer in served)
        assert server.process.poll() is None
        assert ask(client) == right
        assert re.search(r"^sillar_kv_used\{.*\} 0\.0$", client.get("/metrics").text, re.MULTILINE)
        assert until(lambda: resident(server.process.pid) <= 1.05 * before)
