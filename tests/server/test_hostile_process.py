"""A server process under attack: its memory comes back, and SIGTERM under load still ends it well."""

from __future__ import annotations

import asyncio
import json
import signal
from contextlib import suppress

import httpx
import pytest

from tests.server.target import CHAT, target
from tests.server.test_signals import body, process


async def leave_in_the_middle(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    content = json.dumps(body(2000))
    head = f"POST {CHAT} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: {len(content)}\r\n\r\n{content}".encode())
    await reader.read(200)
    writer.transport.abort()


async def send_without_end(port: int, size: int) -> None:
    """A chunked body, which says no length before it comes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"POST {CHAT} HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
    piece = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    with suppress(ConnectionError):
        for _ in range(size // 0x10000):
            writer.write(piece)
            await writer.drain()
    with suppress(ConnectionError):
        assert b" 200 " not in await reader.read(100)
    writer.transport.abort()


async def attack(url: str) -> None:
    port = int(url.rpartition(":")[2])
    for _ in range(20):
        await asyncio.gather(*(leave_in_the_middle(port) for _ in range(10)))
    await asyncio.gather(*(send_without_end(port, 100 << 20) for _ in range(3)))
    async with httpx.AsyncClient(base_url=url) as client:
        many = {"messages": [{"role": "user", "content": "x"}] * 100_000}
        assert (await client.post(CHAT, json=many)).status_code == 400
        assert (await client.post(CHAT, json={**body(1), "stop": ["x"] * 100_000})).status_code == 400
        answers = await asyncio.gather(
            *(client.post(CHAT, json={**body(5), "stream": False}) for _ in range(300)),
            return_exceptions=True,
        )
        codes = {answer.status_code for answer in answers if isinstance(answer, httpx.Response)}
        assert 200 in codes
        assert codes <= {200, 429, 503}


@pytest.mark.slow
async def test_memory_comes_back_after_attacks() -> None:
    with target(0.001, limits={"grace_seconds": 5}) as server:
        await attack(server.url)  # what is kept once and for all is kept now
        server.watch()
        await attack(server.url)
        await asyncio.to_thread(server.check)
        server.process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(server.process.wait, 60) == 0


async def test_sigterm_under_load_finishes_what_runs() -> None:
    with process(60) as (server, url):
        begun = asyncio.Semaphore(0)

        async def ask(client: httpx.AsyncClient) -> str:
            text = ""
            async with client.stream("POST", CHAT, json=body(60)) as answer:
                async for line in answer.aiter_lines():
                    if not text:
                        begun.release()
                    text += line
            return text

        async with httpx.AsyncClient(base_url=url) as client:
            running = [asyncio.ensure_future(ask(client)) for _ in range(12)]
            for _ in running:
                await begun.acquire()
            server.send_signal(signal.SIGTERM)
            texts = await asyncio.gather(*running)
        assert all(text.endswith("data: [DONE]") for text in texts)
        assert await asyncio.to_thread(server.wait, 60) == 0
