"""chat: a conversation at the terminal. Ctrl-C stops the answer, not the program."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import Annotated

import typer

from sillar.cli import options
from sillar.cli.load import language_model, run
from sillar.cli.output import note
from sillar.cli.stream import Answer, follow
from sillar.config import EngineConfig, load_config
from sillar.engine.language_model import LanguageModel
from sillar.engine.request import GenerationParams
from sillar.errors import SillarError

HINT = "/reset forgets the conversation, /exit ends (so does Ctrl-D); Ctrl-C stops an answer."


def register(app: typer.Typer) -> None:
    """Adds this file's commands."""
    app.command()(chat)


def chat(
    system: Annotated[str, typer.Option(help="What the model is told first.")] = "",
    model: options.Model = "",
    max_tokens: options.MaxTokens = None,
    temperature: options.Temperature = None,
    top_k: options.TopK = None,
    top_p: options.TopP = None,
    min_p: options.MinP = None,
    repetition_penalty: options.RepetitionPenalty = None,
    seed: options.Seed = None,
    threads: options.Threads = None,
    isa: options.Isa = None,
    context: options.Context = None,
    kv_type: options.KvType = None,
) -> None:
    """Talk with a model; answers stream, and each turn sees the ones before.

    Example: sillar chat --temperature 0.7 --seed 1 --system "Answer in one sentence."
    """
    config = load_config()
    params = options.generation_params(
        config.sampling,
        max_tokens=max_tokens,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        min_p=min_p,
        repetition_penalty=repetition_penalty,
        seed=seed,
        stop=None,
    )
    engine = options.engine_config(config.engine, threads, isa, context, kv_type)
    run(_chat(model or config.models.chat, engine, params, system))


async def _chat(name: str, engine: EngineConfig, params: GenerationParams, system: str) -> None:
    async with language_model(name, engine) as model:
        if sys.stdin.isatty():
            note(f"{name}, {model.context_length} tokens of context. {HINT}")
        await converse(model, params, system)


async def converse(model: LanguageModel, params: GenerationParams, system: str) -> None:
    """Reads lines from standard input and answers each, until /exit or the end of input."""
    begin = options.messages("", system)[:-1]
    messages = list(begin)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    while (text := _read()) is not None:
        if text == "/reset":
            messages = list(begin)
        elif text.startswith("/"):
            note(HINT)
        elif text:
            messages.append({"role": "user", "content": text})
            answer = await _answer(model, messages, params)
            if answer is None:
                messages.pop()
            else:
                messages.append({"role": "assistant", "content": answer.text})


async def _answer(
    model: LanguageModel, messages: list[dict[str, str]], params: GenerationParams
) -> Answer | None:
    """The streamed answer, cut short by Ctrl-C; None where the model could not take the conversation."""
    answer = Answer()
    task = asyncio.ensure_future(follow(model.chat(messages, params), answer, show=True))
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        note("(stopped)")
    except SillarError as error:
        note(f"sillar: {error}")
        return None
    finally:
        loop.remove_signal_handler(signal.SIGINT)
    return answer


def _read() -> str | None:
    """A line of input; None at its end."""
    try:
        text = input("> " if sys.stdin.isatty() else "").strip()
    except EOFError:
        return None
    return None if text == "/exit" else text
