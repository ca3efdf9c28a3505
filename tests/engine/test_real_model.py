"""The real default model through the whole engine: lookup, batches and the prefix cache change nothing."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("sillar._native")

from sillar.engine.engine import EngineOptions
from sillar.engine.grammar import Grammar
from sillar.engine.language_model import LanguageModel
from sillar.engine.native import NativeOptions
from sillar.engine.request import GenerationParams, SamplingParams
from sillar.engine.spill import SpillOptions

TEXT = (
    "The harbour of Callao is the main port of Peru. Ships leave for Valparaíso every Monday, and for "
    "Guayaquil every Thursday. The customs house opens at eight."
)
QUESTIONS = [
    f"{TEXT}\n\nWhen do ships leave for Guayaquil?",
    f"{TEXT}\n\nRepeat the text word for word.",
    f"{TEXT}\n\nWhen does the customs house open?",
    "Count from one to twenty.",
]


@pytest.fixture(scope="module")
def options() -> NativeOptions:
    return NativeOptions(kv_tokens=4096, context=2048)


async def answer(model: LanguageModel, question: str, temperature: float) -> tuple[str, int]:
    params = GenerationParams(sampling=SamplingParams(temperature=temperature, seed=11), max_tokens=48)
    text, accepted = "", 0
    async for event in model.chat([{"role": "user", "content": question}], params):
        text += event.text
        accepted = event.usage.accepted_tokens if event.usage else accepted
    return text, accepted


@pytest.fixture
async def plain(chat_model: Path, options: NativeOptions) -> AsyncIterator[LanguageModel]:
    """No lookup, no sharing, one request at a time."""
    engine = EngineOptions(max_running=1, lookup=False, prefix_cache=False)
    async with LanguageModel.load(chat_model, options, options=engine) as model:
        yield model


@pytest.fixture
async def full(chat_model: Path, options: NativeOptions) -> AsyncIterator[LanguageModel]:
    async with LanguageModel.load(chat_model, options) as model:
        yield model


@pytest.mark.parametrize("temperature", [0.0, 0.8])
async def test_the_same_answers_whatever_the_engine_does(
    plain: LanguageModel, full: LanguageModel, temperature: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Drafts are worth their rows by the speed measured, which a busy machine changes.
    monkeypatch.setattr(full.engine._worker.cost, "row_price", lambda rows: 0.05)
    expected = [(await answer(plain, question, temperature))[0] for question in QUESTIONS]
    for _ in range(2):  # the second time from the prefix cache
        results = await asyncio.gather(*(answer(full, q, temperature) for q in QUESTIONS))
        assert [text for text, _ in results] == expected
    assert full.engine.stats.cached_tokens > 100
    if temperature == 0:
        assert full.engine.stats.accepted_tokens > 10


async def test_a_schema_is_followed(full: LanguageModel) -> None:
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string", "maxLength": 20}, "age": {"type": "integer"}},
        "required": ["name", "age"],
        "additionalProperties": False,
    }
    constraint = await full.grammars.compile(Grammar.json_schema(schema))
    params = GenerationParams(max_tokens=60, constraint=constraint)
    question = "Maria is 31 years old. Give her name and age as JSON."
    events = [event async for event in full.chat([{"role": "user", "content": question}], params)]
    assert json.loads("".join(event.text for event in events)) == {"name": "Maria", "age": 31}


async def test_a_prompts_scores_are_the_same_whether_the_sampler_reports_them_or_not(
    full: LanguageModel,
) -> None:
    found = []
    for reported in (0, 4):
        params = GenerationParams(
            sampling=SamplingParams(logprobs=reported, logit_bias={5: 9.0}), max_tokens=0, prompt_logprobs=4
        )
        [event] = [event async for event in full.complete(TEXT, params)]
        assert event.prompt_scores is not None
        found.append(event.prompt_scores)
    plain, fast = found
    assert [s.token for s in fast] == [s.token for s in plain]
    assert [[t for t, _ in s.top] for s in fast] == [[t for t, _ in s.top] for s in plain]
    assert [s.logprob for s in fast[1:]] == pytest.approx([s.logprob for s in plain[1:]], abs=1e-4)


async def test_random_requests_and_cancellations_leave_no_block_behind(
    chat_model: Path, options: NativeOptions, tmp_path: Path
) -> None:
    rng = random.Random(5)
    words = TEXT.split()
    engine = EngineOptions(max_running=6, kv_spill=SpillOptions(tmp_path / "kv", 8 << 20))
    async with LanguageModel.load(chat_model, replace(options, kv_tokens=1024), options=engine) as model:
        expected = await answer(model, QUESTIONS[0], 0)

        async def one(number: int) -> None:
            prompt = " ".join(words[: rng.randrange(1, len(words))] + rng.sample(words, 5))
            params = GenerationParams(
                sampling=SamplingParams(temperature=rng.choice([0.0, 1.0]), seed=number),
                max_tokens=rng.randrange(1, 40),
                ignore_eos=True,
                priority=rng.choice([0, 0, 1]),
                tenant=rng.choice("ab"),
            )
            left = rng.choice([0, 1, 3, 99])
            stream = await model.open_completion(prompt, params)
            if left == 0:
                stream.cancel()
            async for _ in stream:
                left -= 1
                if left == 0:
                    stream.cancel()

        for _ in range(4):
            await asyncio.gather(*(one(rng.randrange(1000)) for _ in range(12)))
        assert (await answer(model, QUESTIONS[0], 0))[0] == expected[0]  # after the last cancellation
        assert model.engine.active == 0
        gauges = model.engine.gauges()
        assert (gauges["running"], gauges["kv_used"]) == (0, 0)
        async with asyncio.timeout(60):  # a block is written while there is nothing to compute
            while not model.engine.gauges()["kv_spilled"]:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.01)
        model.engine._worker.scheduler.blocks.check({})
