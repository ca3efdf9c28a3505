"""Command-line options that several commands share, and what they become."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Annotated, Any

import typer

from sillar.config import EngineConfig, SamplingConfig
from sillar.engine.request import GenerationParams, SamplingParams

Model = Annotated[str, typer.Option("--model", "-m", help="Name, hf: address or path; else the default.")]
Threads = Annotated[int | None, typer.Option(min=1, help="Worker threads; else what suits this machine.")]
Isa = Annotated[str | None, typer.Option(help="Upper limit: reference, avx2, avx512 or amx.")]
Context = Annotated[int | None, typer.Option(min=16, help="Longest context in tokens.")]
KvType = Annotated[str | None, typer.Option(help="KV cache: auto, f16, bf16 or int8.")]
JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON to stdout; all else goes to stderr.")]

MaxTokens = Annotated[int | None, typer.Option("--max-tokens", "-n", min=1, help="Longest answer in tokens.")]
Temperature = Annotated[float | None, typer.Option(min=0, help="0 is greedy.")]
TopK = Annotated[int | None, typer.Option(min=0, help="Draw from the k most likely tokens; 0: off.")]
TopP = Annotated[float | None, typer.Option(min=0, max=1, help="Draw from the nucleus of this mass.")]
MinP = Annotated[float | None, typer.Option(min=0, max=1, help="Drop tokens below this share of the best.")]
RepetitionPenalty = Annotated[float | None, typer.Option(min=0.1, help="1 is off.")]
Seed = Annotated[int | None, typer.Option(min=0, help="The same seed draws the same tokens.")]
Stop = Annotated[list[str] | None, typer.Option(help="End the answer before this text; may be repeated.")]


def engine_config(
    config: EngineConfig,
    threads: int | None = None,
    isa: str | None = None,
    context: int | None = None,
    kv_type: str | None = None,
    **others: Any,
) -> EngineConfig:
    """The settings with what the command line says instead."""
    given = {"threads": threads, "isa": isa, "context": context, "kv_type": kv_type, **others}
    return replace(config, **{key: value for key, value in given.items() if value is not None})


def generation_params(
    config: SamplingConfig,
    *,
    max_tokens: int | None,
    temperature: float | None,
    top_k: int | None,
    top_p: float | None,
    min_p: float | None,
    repetition_penalty: float | None,
    seed: int | None,
    stop: list[str] | None,
) -> GenerationParams:
    """What a request asks for: the settings with what the command line says instead."""
    sampling = SamplingParams(
        temperature=config.temperature if temperature is None else temperature,
        top_k=config.top_k if top_k is None else top_k,
        top_p=config.top_p if top_p is None else top_p,
        min_p=config.min_p if min_p is None else min_p,
        repetition_penalty=config.repetition_penalty if repetition_penalty is None else repetition_penalty,
        seed=seed if seed is not None else secrets.randbits(63),
    )
    return GenerationParams(sampling, max_tokens=max_tokens or config.max_tokens, stop=tuple(stop or ()))


def messages(text: str, system: str = "") -> list[dict[str, str]]:
    """A conversation that begins with `text`, after what the model is told first."""
    first = [{"role": "system", "content": system}] if system else []
    return [*first, {"role": "user", "content": text}]
