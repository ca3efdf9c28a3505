"""The engine's loop over a fake stepper: streams, cancellation, failures of one, back-pressure, closing."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from sillar.engine.engine import Engine, EngineOptions
from sillar.engine.request import GenerationParams, SamplingParams, TokenEvent
from sillar.errors import ContextLengthError, OverloadedError, RequestError
from tests.engine.fake import FakeStepper, oracle

PROMPT = list(range(10, 50))


async def tokens(engine: Engine, prompt: Sequence[int], params: GenerationParams) -> list[int]:
    return [e.token async for e in engine.generate(prompt, params) if e.token is not None]


async def settle(engine: Engine) -> None:
    """Until the engine's thread has taken every command."""
    async with asyncio.timeout(60):  # a leak
        while engine.gauges()["kv_used"] or engine.active:  # noqa: ASYNC110  the other side is a thread
            await asyncio.sleep(0.005)


async def test_many_streams_each_get_their_own_tokens() -> None:
    rng = random.Random(5)
    requests = []
    for i in range(40):
        params = GenerationParams(
            sampling=SamplingParams(temperature=i % 2, seed=i),
            max_tokens=rng.randrange(1, 40),
            tenant=str(i % 3),
        )
        requests.append(([*PROMPT[: rng.randrange(1, 40)], i], params))
    async with Engine(FakeStepper(kv_blocks=40), EngineOptions(max_running=16)) as engine:
        results = await asyncio.gather(*(tokens(engine, *request) for request in requests))
        await settle(engine)
    for (prompt, params), result in zip(requests, results, strict=True):
        assert result == oracle(prompt, params)


async def test_the_last_event_says_why_and_what_it_cost() -> None:
    eos = frozenset({oracle(PROMPT, GenerationParams(max_tokens=6))[5]})
    async with Engine(FakeStepper(), eos_ids=eos) as engine:
        events = [event async for event in engine.generate(PROMPT, GenerationParams(max_tokens=50))]
        assert events[-1].finish_reason == "stop"
        assert events[-1].usage is not None
        assert events[-1].usage.completion_tokens == len(events) <= 6
        again = [event async for event in engine.generate(PROMPT, GenerationParams(max_tokens=1))]
        assert again[-1].finish_reason == "length"
        assert again[-1].usage is not None
        assert again[-1].usage.cached_tokens == 32


async def test_no_tokens_asked_for_gives_the_prompt_scores_only() -> None:
    async with Engine(FakeStepper()) as engine:
        params = GenerationParams(max_tokens=0, prompt_logprobs=0)
        events = [event async for event in engine.generate(PROMPT, params)]
    assert [event.token for event in events] == [None]
    assert events[0].prompt_scores is not None
    assert len(events[0].prompt_scores) == len(PROMPT)


async def test_leaving_early_frees_the_blocks() -> None:
    async with Engine(FakeStepper(pause=0.001)) as engine:
        for _ in range(20):
            async for _ in engine.generate(PROMPT, GenerationParams(max_tokens=1000)):
                break
        await settle(engine)
        assert await tokens(engine, PROMPT, GenerationParams(max_tokens=3))


async def test_cancelled_tasks_free_their_blocks() -> None:
    stepper = FakeStepper()
    stepper.go.clear()
    async with Engine(stepper, EngineOptions(max_running=4)) as engine:
        tasks = [
            asyncio.create_task(tokens(engine, [*PROMPT, i], GenerationParams(max_tokens=500)))
            for i in range(12)
        ]
        while engine.gauges()["running"] < 4:  # noqa: ASYNC110  the other side is a thread
            await asyncio.sleep(0.005)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        stepper.go.set()
        await settle(engine)


async def test_a_request_that_breaks_a_step_fails_alone() -> None:
    stepper = FakeStepper()
    good = GenerationParams(max_tokens=20, lookup=False)
    expected = oracle([1, 2, 3], good)
    stepper.poison = bad = min(set(range(4, 101)) - set(expected))
    async with Engine(stepper) as engine:
        results = await asyncio.gather(
            tokens(engine, [1, 2, 3], good),
            tokens(engine, [1, bad, 3], good),
            return_exceptions=True,
        )
        await settle(engine)
    assert results[0] == expected
    assert isinstance(results[1], ValueError)


class Grammar:
    """Allows only even tokens, ends after three; fails on demand."""

    def __init__(self, fail_after: int = 100) -> None:
        self.taken = 0
        self.fail_after = fail_after

    def fresh(self) -> Grammar:
        return Grammar(self.fail_after)

    def mask(self) -> NDArray[np.uint32]:
        if self.taken >= self.fail_after:
            raise RequestError("the grammar is exhausted")
        return np.full(4, 0x55555555, np.uint32)

    def advance(self, token: int) -> bool:
        self.taken += 1
        return self.taken == 3


async def test_a_grammar_bounds_the_draws_and_fails_alone() -> None:
    async with Engine(FakeStepper()) as engine:
        even, broken, plain = await asyncio.gather(
            tokens(engine, PROMPT, GenerationParams(constraint=Grammar())),
            tokens(engine, PROMPT, GenerationParams(constraint=Grammar(1))),
            tokens(engine, PROMPT, GenerationParams(max_tokens=9)),
            return_exceptions=True,
        )
        await settle(engine)
    assert isinstance(even, list)
    assert len(even) == 3
    assert all(token % 2 == 0 for token in even)
    assert isinstance(broken, RequestError)
    assert plain == oracle(PROMPT, GenerationParams(max_tokens=9))


async def test_a_defect_fails_the_requests_but_not_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Engine(FakeStepper()) as engine:
        scheduler = engine._worker.scheduler
        monkeypatch.setattr(scheduler, "commit", lambda *_: 1 / 0)
        with pytest.raises(Exception, match="started over"):
            await tokens(engine, PROMPT, GenerationParams(max_tokens=3))
        assert await tokens(engine, PROMPT, GenerationParams(max_tokens=3))


async def test_bad_requests_are_refused_at_once() -> None:
    async with Engine(FakeStepper(kv_blocks=4)) as engine:
        for prompt in ([], [-1], [101]):
            with pytest.raises(RequestError):
                engine.submit(prompt, GenerationParams())
        with pytest.raises(ContextLengthError):
            engine.submit([1] * 64, GenerationParams())
        with pytest.raises(RequestError):
            engine.submit([1], GenerationParams(max_tokens=-1))
        longest = await tokens(engine, [1] * 60, GenerationParams(max_tokens=10**9))
        assert len(longest) == 4


async def test_a_full_queue_refuses_and_one_tenant_cannot_fill_it() -> None:
    options = EngineOptions(max_running=2, max_waiting=4)
    stepper = FakeStepper()
    stepper.go.clear()
    async with Engine(stepper, options) as engine:
        long = GenerationParams(max_tokens=100)
        streams = [engine.submit(PROMPT, long) for _ in range(4)]
        with pytest.raises(OverloadedError):
            engine.submit(PROMPT, long)
        other = GenerationParams(max_tokens=100, tenant="other")
        streams += [engine.submit(PROMPT, other) for _ in range(2)]
        with pytest.raises(OverloadedError):
            engine.submit(PROMPT, GenerationParams(tenant="third"))
        for stream in streams:
            stream.cancel()
        stepper.go.set()
        await settle(engine)


async def test_closing_ends_what_runs() -> None:
    stepper = FakeStepper()
    engine = Engine(stepper)
    engine.start()
    stepper.go.clear()
    task = asyncio.create_task(tokens(engine, PROMPT, GenerationParams(max_tokens=1000)))
    while engine.active == 0:  # noqa: ASYNC110  it has no event for this
        await asyncio.sleep(0)
    closing = asyncio.create_task(engine.close())
    await asyncio.wait([task])
    stepper.go.set()
    await closing
    with pytest.raises(OverloadedError):
        await task
    with pytest.raises(OverloadedError):
        engine.submit(PROMPT, GenerationParams())


async def test_scores_come_with_the_first_event_only() -> None:
    async with Engine(FakeStepper()) as engine:
        params = GenerationParams(max_tokens=4, prompt_logprobs=1, sampling=SamplingParams(logprobs=2))
        events: list[TokenEvent] = [event async for event in engine.generate(PROMPT, params)]
    assert [event.prompt_scores is not None for event in events] == [True, False, False, False]
    assert all(len(event.top) == 2 for event in events)
