"""Work behind its caller: in order, and an error stops what comes after and reaches who waits."""

from __future__ import annotations

import asyncio

import pytest

from sillar.documents.background import Background


async def test_work_goes_on_in_order_behind_its_caller() -> None:
    done: list[str] = []
    gate = asyncio.Event()

    async def work(name: str) -> None:
        await gate.wait()
        done.append(name)

    async with Background() as background:
        background.add(work("a"))
        background.add(work("b"))
        await asyncio.sleep(0)
        assert done == []
        gate.set()
    assert done == ["a", "b"]


async def test_an_error_stops_what_comes_after() -> None:
    done: list[str] = []

    async def fail() -> None:
        raise OSError("the disk is full")

    async def work() -> None:
        done.append("after")

    background = Background()
    background.add(fail())
    background.add(work())
    with pytest.raises(OSError, match="disk is full"):
        await background.done()
    assert done == []
