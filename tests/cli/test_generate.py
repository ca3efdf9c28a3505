"""generate and chat over a stand-in for a model: options reach the request, output is clean."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from sillar.cli import chat, generate
from sillar.engine.engine import Engine
from sillar.engine.language_model import LanguageModel
from sillar.engine.request import GenerationParams
from tests.cli.test_app import run
from tests.engine.fake import FakeStepper
from tests.engine.fake_text import FakeCodec

Asked = list[tuple[list[dict[str, str]], GenerationParams]]


class Recorder(LanguageModel):
    """Keeps the conversations that it was asked to answer."""

    def __init__(self, asked: Asked) -> None:
        self.stepper = FakeStepper()
        super().__init__("fake", Engine(self.stepper), FakeCodec())
        self.asked = asked
        self.begun = asyncio.Event()

    async def chat(self, messages: Any, params: GenerationParams, **options: Any) -> AsyncIterator[Any]:
        self.asked.append(([dict(message) for message in messages], params))
        self.begun.set()
        async for event in super().chat(messages, params, **options):
            yield event


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    conversations: Asked = []

    @asynccontextmanager
    async def loaded(name: str, config: object) -> AsyncIterator[LanguageModel]:
        async with Recorder(conversations) as recorder:
            yield recorder

    monkeypatch.setattr(generate, "language_model", loaded)
    monkeypatch.setattr(chat, "language_model", loaded)
    return conversations


def test_generate_streams_text_to_stdout_and_figures_to_stderr(
    asked: Asked, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("generate", "abc", "-n", "8") == 0
    first = capsys.readouterr()
    assert len(first.out) > 1
    assert "4 prompt tokens" in first.err
    assert "ended by length" in first.err
    assert run("generate", "abc", "-n", "8") == 0
    assert capsys.readouterr().out == first.out


def test_generate_json(asked: Asked, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("generate", "abc", "-n", "8", "--seed", "5", "--temperature", "1", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["usage"]["completion_tokens"] == 8
    assert answer["finish_reason"] == "length"
    assert answer["seed"] == 5
    assert set(answer["timings"]) == {"ttft", "total"}


def test_generate_from_standard_input(
    asked: Asked, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("generate", "abc", "-n", "4") == 0
    expected = capsys.readouterr().out
    monkeypatch.setattr("sys.stdin", io.StringIO("abc"))
    assert run("generate", "-", "-n", "4") == 0
    assert capsys.readouterr().out == expected


def test_a_prompt_that_does_not_fit_is_one_line(asked: Asked, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("generate", "x" * 5000) == 6
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_chat_keeps_the_conversation_until_reset(
    asked: Asked, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("one\n\ntwo\n/reset\nthree\n/exit\nfour\n"))
    assert run("chat", "-n", "4", "--system", "Be brief.", "--top-k", "3", "--seed", "1") == 0
    roles = [[message["role"] for message in messages] for messages, _ in asked]
    first = ["system", "user"]
    assert roles == [first, [*first, "assistant", "user"], first]
    assert [messages[-1]["content"] for messages, _ in asked] == ["one", "two", "three"]
    params = asked[0][1]
    assert (params.max_tokens, params.sampling.top_k, params.sampling.seed) == (4, 3, 1)


def test_a_message_that_does_not_fit_does_not_end_the_chat(
    asked: Asked, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("x" * 5000 + "\nshort\n"))
    assert run("chat", "-n", "4") == 0
    assert [len(messages) for messages, _ in asked] == [1, 1]
    assert capsys.readouterr().err.startswith("sillar: ")


async def test_interrupt_stops_the_answer_and_not_the_program(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("one\ntwo\n"))
    async with Recorder([]) as model:
        model.stepper.go.clear()
        interrupt = asyncio.create_task(_interrupt_once_asked(model))
        await chat.converse(model, GenerationParams(max_tokens=60), "")
        await interrupt
    assert len(model.asked) == 2
    assert "(stopped)" in capsys.readouterr().err


async def _interrupt_once_asked(model: Recorder) -> None:
    await model.begun.wait()
    os.kill(os.getpid(), signal.SIGINT)
    while len(model.asked) < 2:  # noqa: ASYNC110  the first answer is not whole before that
        await asyncio.sleep(0.005)
    model.stepper.go.set()
