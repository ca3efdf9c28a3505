"""Text in, text out over the fake stepper: decoding, stop strings, choices, usage."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from sillar.engine.engine import Engine, EngineOptions
from sillar.engine.language_model import LanguageModel
from sillar.engine.request import GenerationParams, SamplingParams
from sillar.engine.text_stream import TextEvent
from sillar.errors import ContextLengthError, OverloadedError, RequestError, TemplateError
from tests.engine.fake import FakeStepper, oracle
from tests.engine.fake_text import EOS, FakeCodec, text_of

MESSAGES = [{"role": "user", "content": "Where does a café keep its sugar?"}]
PROMPT = FakeCodec().encode_chat(MESSAGES)


@pytest.fixture
async def model() -> AsyncIterator[LanguageModel]:
    engine = Engine(FakeStepper(order=3), EngineOptions(max_running=4), eos_ids=frozenset({EOS}))
    async with LanguageModel("fake", engine, FakeCodec()) as model:
        yield model


async def collect(stream: AsyncIterator[TextEvent]) -> tuple[str, TextEvent, list[int]]:
    events = [event async for event in stream]
    assert all(event.finish_reason is None for event in events[:-1])
    return "".join(e.text for e in events), events[-1], [t.token for e in events for t in e.tokens]


async def test_a_chat_streams_the_oracle_text(model: LanguageModel) -> None:
    params = GenerationParams(max_tokens=60, ignore_eos=True)
    text, last, tokens = await collect(model.chat(MESSAGES, params))
    expected = oracle(PROMPT, params, order=3)
    assert tokens == expected
    assert text == text_of(expected)
    assert last.finish_reason == "length"
    assert last.usage is not None
    assert (last.usage.prompt_tokens, last.usage.completion_tokens) == (len(PROMPT), 60)


@pytest.mark.parametrize("seed", range(12))
async def test_stop_strings_cut_the_text_and_end_the_request(model: LanguageModel, seed: int) -> None:
    sampling = SamplingParams(temperature=1, seed=seed)
    params = GenerationParams(sampling=sampling, max_tokens=80, ignore_eos=True)
    whole = text_of(oracle(PROMPT, params, order=3))
    stop = whole[30:34]
    stopped = GenerationParams(sampling=sampling, max_tokens=80, ignore_eos=True, stop=(stop, "never"))
    text, last, tokens = await collect(model.chat(MESSAGES, stopped))
    assert text == whole[: whole.index(stop)]
    assert last.finish_reason == "stop"
    assert text_of(tokens).startswith(text)
    assert last.usage is not None
    assert len(text) <= last.usage.completion_tokens < 80


async def test_the_end_token_is_not_text(model: LanguageModel) -> None:
    ends = (s for s in range(200) if EOS in oracle(PROMPT, _sampled(s), order=3)[3:])
    params = _sampled(next(ends))
    text, last, tokens = await collect(model.chat(MESSAGES, params))
    expected = oracle(PROMPT, params, order=3, eos=frozenset({EOS}))
    assert expected[-1] == EOS
    assert last.finish_reason == "stop"
    assert tokens == expected[:-1]
    assert text == text_of(expected[:-1])


def _sampled(seed: int) -> GenerationParams:
    return GenerationParams(sampling=SamplingParams(temperature=1, seed=seed), max_tokens=30)


async def test_choices_draw_with_their_own_seeds_and_share_the_prompt(model: LanguageModel) -> None:
    params = GenerationParams(sampling=SamplingParams(temperature=1, seed=5), max_tokens=20, ignore_eos=True)
    stream = await model.open_chat(MESSAGES, params, n=3)
    texts = {0: "", 1: "", 2: ""}
    async for event in stream:
        texts[event.index] += event.text
    for i in range(3):
        own = GenerationParams(
            sampling=SamplingParams(temperature=1, seed=5 + i), max_tokens=20, ignore_eos=True
        )
        assert texts[i] == text_of(oracle(PROMPT, own, order=3))
    assert model.engine.stats.cached_tokens == 2 * 32


async def test_errors_come_before_the_stream(model: LanguageModel) -> None:
    with pytest.raises(TemplateError):
        await model.open_chat([{"role": "wizard", "content": ""}], GenerationParams())
    small = Engine(FakeStepper(pause=0.01), EngineOptions(max_running=1, max_waiting=1))
    async with LanguageModel("small", small, FakeCodec()) as crowded:
        with pytest.raises(OverloadedError):
            await crowded.open_chat(MESSAGES, GenerationParams(max_tokens=50), n=3)
        assert small.active == 0


async def test_echo_scores_the_prompt(model: LanguageModel) -> None:
    params = GenerationParams(max_tokens=0, prompt_logprobs=2)
    stream = await model.open_completion("some text", params)
    events = [event async for event in stream]
    assert len(events) == 1
    assert events[0].prompt_scores is not None
    assert [s.token for s in events[0].prompt_scores] == FakeCodec().encode("some text")


async def test_an_answer_is_scored_after_each_conversation(model: LanguageModel) -> None:
    other = [{"role": "user", "content": "Something else."}]
    scores = await model.score_answers([MESSAGES, other], "some text")
    assert scores.shape == (2, len(FakeCodec().encode_text("some text")))
    assert (scores < 0).all()
    params = GenerationParams(max_tokens=0, prompt_logprobs=0)
    whole = [*FakeCodec().encode_chat(other), *FakeCodec().encode_text("some text")]
    [event] = [event async for event in model.complete(whole, params)]
    assert event.prompt_scores is not None
    tail = event.prompt_scores[-scores.shape[1] :]
    assert scores[1].tolist() == pytest.approx([score.logprob for score in tail])
    with pytest.raises(RequestError):
        await model.score_answers([MESSAGES, other], "")
    with pytest.raises(ContextLengthError):
        await model.score_answers([MESSAGES], "word " * 5000)
    assert model.engine.active == 0


async def test_leaving_the_iterator_cancels(model: LanguageModel) -> None:
    async for _ in model.chat(MESSAGES, GenerationParams(max_tokens=900, ignore_eos=True)):
        break
    async with asyncio.timeout(60):  # else it is still running
        while model.engine.active:  # noqa: ASYNC110  it has no event for this
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("chat", [False, True])
async def test_a_text_that_is_far_too_long_is_refused_by_its_beginning(
    model: LanguageModel, chat: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    encode = model.codec.encode_text

    def counted(text: str) -> list[int]:
        seen.append(len(text))
        return encode(text)

    monkeypatch.setattr(model.codec, "encode_text", counted, raising=False)
    monkeypatch.setattr(model.codec, "encode", None, raising=False)
    text = "word " * 200_000
    messages = [{"role": "user", "content": text}]
    params = GenerationParams()
    opened = model.open_chat(messages, params) if chat else model.open_completion(text, params)
    with pytest.raises(ContextLengthError):
        await opened
    assert sum(seen) < len(text) / 10
