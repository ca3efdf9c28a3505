"""generate: one text from one prompt."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from sillar.cli import options
from sillar.cli.load import language_model, run
from sillar.cli.output import note, print_json
from sillar.cli.stream import Answer, follow
from sillar.config import EngineConfig, load_config
from sillar.engine.request import GenerationParams


def register(app: typer.Typer) -> None:
    """Adds this file's commands."""
    app.command()(generate)


def generate(
    prompt: Annotated[str, typer.Argument(help="The text to go on from; - reads standard input.")],
    chat: Annotated[bool, typer.Option("--chat", help="Put the prompt as a user's message.")] = False,
    system: Annotated[str, typer.Option(help="What the model is told first; implies --chat.")] = "",
    model: options.Model = "",
    max_tokens: options.MaxTokens = None,
    temperature: options.Temperature = None,
    top_k: options.TopK = None,
    top_p: options.TopP = None,
    min_p: options.MinP = None,
    repetition_penalty: options.RepetitionPenalty = None,
    seed: options.Seed = None,
    stop: options.Stop = None,
    threads: options.Threads = None,
    isa: options.Isa = None,
    context: options.Context = None,
    kv_type: options.KvType = None,
    as_json: options.JsonFlag = False,
) -> None:
    """Continue a text, or answer one message with --chat.

    Examples: sillar generate "Once upon a time" -n 100; sillar generate --chat "Why is the sky blue?" --json
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
        stop=stop,
    )
    engine = options.engine_config(config.engine, threads, isa, context, kv_type)
    text = sys.stdin.read() if prompt == "-" else prompt
    messages = options.messages(text, system) if chat or system else None
    answer = run(_generate(model or config.models.chat, engine, messages or text, params, show=not as_json))
    if as_json:
        print_json({**answer.as_json(), "seed": params.sampling.seed})
    else:
        note(answer.summary())


async def _generate(
    name: str,
    engine: EngineConfig,
    prompt: str | list[dict[str, str]],
    params: GenerationParams,
    *,
    show: bool,
) -> Answer:
    answer = Answer()
    async with language_model(name, engine) as model:
        events = model.complete(prompt, params) if isinstance(prompt, str) else model.chat(prompt, params)
        await follow(events, answer, show=show)
    return answer
