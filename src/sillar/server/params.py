"""From an API request to what the engine is asked for."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import TypeVar

from sillar.config import SamplingConfig
from sillar.engine.request import GenerationParams, SamplingParams
from sillar.engine.text_stream import TextStream
from sillar.server.auth import Client
from sillar.server.errors import ApiError
from sillar.server.types import MAX_SCORES, GenerationRequest

T = TypeVar("T", int, float)


def generation_params(
    body: GenerationRequest,
    defaults: SamplingConfig,
    client: Client,
    *,
    vocab_size: int,
    max_tokens: int | None,
    logprobs: int = 0,
    prompt_logprobs: int | None = None,
) -> GenerationParams:
    """`logprobs`: alternatives a token, at least 1 when any log-probability is wanted."""
    sampling = SamplingParams(
        temperature=_or(body.temperature, defaults.temperature),
        top_k=_or(body.top_k, defaults.top_k),
        top_p=_or(body.top_p, defaults.top_p),
        min_p=_or(body.min_p, defaults.min_p),
        repetition_penalty=_or(body.repetition_penalty, defaults.repetition_penalty),
        presence_penalty=body.presence_penalty or 0.0,
        frequency_penalty=body.frequency_penalty or 0.0,
        logit_bias=_bias(body.logit_bias, vocab_size),
        # Positive and 63 bits, with room for n choices above it.
        seed=(secrets.randbits(62) if body.seed is None else body.seed & (2**62 - 1)),
        logprobs=logprobs,
    )
    stop = (body.stop,) if isinstance(body.stop, str) else tuple(body.stop or ())
    return GenerationParams(
        sampling=sampling,
        max_tokens=max_tokens,
        min_tokens=body.min_tokens or 0,
        stop=stop,
        ignore_eos=bool(body.ignore_eos),
        prompt_logprobs=prompt_logprobs,
        tenant=client.tenant,
        priority=body.priority or 0,
    )


def check_scores(streams: Sequence[TextStream], params: GenerationParams, n: int, capacity: int) -> None:
    """Raises ApiError 400, and cancels, where one answer would have too many log-probabilities."""
    if not params.sampling.logprobs:
        return
    most = capacity if params.max_tokens is None else params.max_tokens
    drawn = sum(n * min(most, capacity - stream.prompt_tokens) for stream in streams)
    echoed = sum(stream.prompt_tokens for stream in streams) if params.prompt_logprobs is not None else 0
    count = (drawn + n * echoed) * (1 + params.sampling.logprobs)
    if count > MAX_SCORES:
        for stream in streams:
            stream.cancel()
        raise ApiError(
            400,
            f"One answer may have {MAX_SCORES:,} log-probabilities, this one could have {count:,}: "
            "ask for fewer tokens, choices, prompts or alternatives.",
            param="logprobs",
        )


def _or(value: T | None, default: T) -> T:
    return default if value is None else value


def _bias(bias: dict[str, float] | None, vocab_size: int) -> dict[int, float]:
    out = {}
    for key, value in (bias or {}).items():
        if not key.isascii() or not key.isdigit() or len(key) > 9 or int(key) >= vocab_size:
            raise ApiError(400, f"logit_bias: '{key[:20]}' is not a token of this model", param="logit_bias")
        out[int(key)] = value
    return out
