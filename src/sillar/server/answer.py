"""Parts of OpenAI's answers that chat and completions share: ids, usage, log-probabilities, timing."""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

from sillar import __version__
from sillar.engine.codec import Codec
from sillar.engine.request import TokenScore, Usage
from sillar.engine.text_stream import TextEvent, TextStream
from sillar.server.state import ServerState

FINGERPRINT = f"sillar-{__version__}"
_LOWEST = -9999.0  # stands for minus infinity, which JSON cannot say


def envelope(prefix: str, kind: str, model: str) -> dict[str, Any]:
    """id, object, created, model: what every answer and every chunk of it begins with."""
    return {
        "id": f"{prefix}-{secrets.token_hex(12)}",
        "object": kind,
        "created": int(time.time()),
        "model": model,
        "system_fingerprint": FINGERPRINT,
    }


class UsageSum:
    """Usage over the choices of one request: the prompt counts once."""

    def __init__(self) -> None:
        self._prompt = self._cached = self._completion = self._accepted = self._refused = 0

    def add(self, usage: Usage, *, first: bool) -> None:
        """`first`: of its prompt; the other choices found it in the cache, which is no news to a client."""
        if first:
            self._prompt += usage.prompt_tokens
            self._cached += usage.cached_tokens
        self._completion += usage.completion_tokens
        self._accepted += usage.accepted_tokens
        self._refused += usage.drafted_tokens - usage.accepted_tokens

    def payload(self) -> dict[str, Any]:
        """As OpenAI's usage object; the predictions are prompt lookup's."""
        return {
            "prompt_tokens": self._prompt,
            "completion_tokens": self._completion,
            "total_tokens": self._prompt + self._completion,
            "prompt_tokens_details": {"cached_tokens": self._cached, "audio_tokens": 0},
            "completion_tokens_details": {
                "accepted_prediction_tokens": self._accepted,
                "rejected_prediction_tokens": self._refused,
                "reasoning_tokens": 0,
                "audio_tokens": 0,
            },
        }


def token_text(codec: Codec, token: int) -> str:
    """A token as text: a control token's name; bytes that are no whole UTF-8 spelt as OpenAI does."""
    raw = codec.token_bytes(token)
    if not raw and token in codec.control_tokens:
        return codec.control_tokens[token]
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in raw)


def finite(logprob: float | None) -> float | None:
    """A log-probability as JSON can say it."""
    if logprob is None or math.isnan(logprob):
        return None
    return max(logprob, _LOWEST)


def chat_logprobs(codec: Codec, tokens: Sequence[TokenScore], top: int) -> dict[str, Any]:
    """Chat's shape: {"content": [{token, logprob, bytes, top_logprobs}]}."""

    def entry(token: int, logprob: float | None) -> dict[str, Any]:
        raw = codec.token_bytes(token)
        return {
            "token": raw.decode("utf-8", "replace"),
            "logprob": finite(logprob),
            "bytes": list(raw),
        }

    content = [
        {
            **entry(score.token, score.logprob),
            "top_logprobs": [entry(token, logprob) for token, logprob in score.top[:top]],
        }
        for score in tokens
    ]
    return {"content": content, "refusal": None}


async def timed(
    stream: TextStream, state: ServerState, model: str, arrived: float
) -> AsyncIterator[TextEvent]:
    """The same events, with the times to the first text and between tokens observed."""
    metrics = state.metrics
    first: dict[int, float] = {}
    async for event in stream:
        now = time.perf_counter()
        if event.index not in first:
            first[event.index] = now
            metrics.time_to_first_token.labels(model).observe(now - arrived)
        if event.usage is not None and event.usage.completion_tokens > 1:
            each = (now - first[event.index]) / (event.usage.completion_tokens - 1)
            metrics.time_per_output_token.labels(model).observe(each)
        if event.usage is not None:
            times = (arrived, first[event.index], now)
            state.tracing.generation(model, event.usage, event.finish_reason, times)
        yield event
