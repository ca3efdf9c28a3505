"""The official client, sync and async, against a live server over fake models."""

from __future__ import annotations

import asyncio

import openai
import pytest

from sillar.engine.request import GenerationParams, SamplingParams
from tests.engine.fake import oracle
from tests.engine.fake_text import FakeCodec, text_of
from tests.server.live import Live

MESSAGES = [{"role": "user", "content": "Where does a café keep its sugar?"}]


@pytest.fixture
def client(live: Live) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{live.url}/v1", api_key="unused", max_retries=0)


def expected(prompt: list[int], count: int, **sampling: float) -> str:
    params = GenerationParams(sampling=SamplingParams(**sampling), max_tokens=count, ignore_eos=True)  # type: ignore[arg-type]
    return text_of(oracle(prompt, params, order=3))


def test_chat(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="fake", messages=MESSAGES, max_tokens=30, temperature=0, extra_body={"ignore_eos": True}
    )
    assert answer.choices[0].message.content == expected(FakeCodec().encode_chat(MESSAGES), 30)
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 30
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 30


def test_a_stream_says_the_same_and_ends_with_usage(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model="fake",
        messages=MESSAGES,
        max_completion_tokens=30,
        temperature=0.8,
        seed=7,
        stream=True,
        stream_options={"include_usage": True},
        extra_body={"ignore_eos": True},
    )
    chunks = list(stream)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == expected(FakeCodec().encode_chat(MESSAGES), 30, temperature=0.8, seed=7)
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "length"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 30
    assert all(c.usage is None for c in chunks[:-1])


async def test_many_at_once_with_the_async_client(live: Live) -> None:
    async with openai.AsyncOpenAI(base_url=f"{live.url}/v1", api_key="unused", max_retries=0) as client:

        async def ask(i: int) -> None:
            messages = [{"role": "user", "content": f"Question {i}"}]
            stream = await client.chat.completions.create(
                model="fake", messages=messages, max_tokens=20, stream=True, extra_body={"ignore_eos": True}
            )
            text = "".join([c.choices[0].delta.content or "" async for c in stream])
            assert text == expected(FakeCodec().encode_chat(messages), 20)

        await asyncio.gather(*(ask(i) for i in range(24)))


def test_choices_and_log_probabilities(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="fake",
        messages=MESSAGES,
        n=3,
        max_tokens=6,
        temperature=1,
        seed=1,
        logprobs=True,
        top_logprobs=2,
        extra_body={"ignore_eos": True},
    )
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert len({choice.message.content for choice in answer.choices}) == 3
    for choice in answer.choices:
        assert choice.logprobs is not None
        assert choice.logprobs.content is not None
        assert len(choice.logprobs.content) == 6
        assert all(len(entry.top_logprobs) == 2 for entry in choice.logprobs.content)


def test_stop_strings_are_not_part_of_the_answer(client: openai.OpenAI) -> None:
    whole = expected(FakeCodec().encode_chat(MESSAGES), 60)
    answer = client.chat.completions.create(
        model="fake",
        messages=MESSAGES,
        max_tokens=60,
        stop=[whole[20:23]],
        extra_body={"ignore_eos": True},
    )
    assert answer.choices[0].message.content == whole[: whole.index(whole[20:23])]
    assert answer.choices[0].finish_reason == "stop"


def test_completions_echo_scores_the_prompt(client: openai.OpenAI) -> None:
    answer = client.completions.create(
        model="fake", prompt=["some text", "another"], echo=True, logprobs=2, max_tokens=0
    )
    assert [choice.text for choice in answer.choices] == ["some text", "another"]
    first = answer.choices[0].logprobs
    assert first is not None
    assert first.token_logprobs is not None
    assert first.token_logprobs[0] is None
    assert all(value < 0 for value in first.token_logprobs[1:] if value is not None)
    assert len(first.token_logprobs) == len(FakeCodec().encode("some text"))
    assert first.text_offset == [0, *range(9)]


def test_completions_take_tokens_and_stream(client: openai.OpenAI) -> None:
    prompt = FakeCodec().encode("numbers")
    stream = client.completions.create(
        model="fake", prompt=prompt, max_tokens=12, stream=True, extra_body={"ignore_eos": True}
    )
    assert "".join(chunk.choices[0].text for chunk in stream) == expected(prompt, 12)


def test_logit_bias_forbids_a_token(client: openai.OpenAI) -> None:
    prompt = FakeCodec().encode("numbers")
    token = oracle(prompt, GenerationParams(max_tokens=1), order=3)[0]
    answer = client.completions.create(
        model="fake", prompt=prompt, max_tokens=1, logprobs=0, logit_bias={str(token): -100}
    )
    assert answer.choices[0].text != text_of([token])


def test_embeddings_in_both_encodings(client: openai.OpenAI) -> None:
    packed = client.embeddings.create(model="fake-embedder", input=["a", "bb"])
    plain = client.embeddings.create(model="fake-embedder", input=["a", "bb"], encoding_format="float")
    assert packed.data[1].embedding == pytest.approx(plain.data[1].embedding)
    assert len(plain.data[0].embedding) == 4
    assert packed.usage.prompt_tokens == 2 * 4 + 3


def test_models(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["fake", "fake-embedder", "fake-reranker"]
    assert client.models.retrieve("fake").owned_by == "sillar"


def test_errors_have_their_types(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="no language model 'gpt'"):
        client.chat.completions.create(model="gpt", messages=MESSAGES)
    with pytest.raises(openai.BadRequestError, match="temperature"):
        client.chat.completions.create(model="fake", messages=MESSAGES, temperature=9)
    with pytest.raises(openai.BadRequestError) as caught:
        client.completions.create(model="fake", prompt="x" * 9000)
    assert caught.value.code == "context_length_exceeded"
    with pytest.raises(openai.BadRequestError, match="audio"):
        client.chat.completions.create(
            model="fake", messages=MESSAGES, audio={"voice": "alloy", "format": "mp3"}
        )
    with pytest.raises(openai.BadRequestError, match="colour"):
        client.chat.completions.create(model="fake", messages=MESSAGES, extra_body={"colour": 1})
