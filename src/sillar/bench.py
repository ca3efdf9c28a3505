"""How fast a loaded model prefills and decodes: what `sillar bench` runs.

Tokens are random with a fixed seed, sampling is greedy, one sequence runs at a time. A figure is the
median of `repeats` runs after one that does not count; its spread is half the distance between the
quartiles, as a share of the median.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sillar.engine.request import BLOCK_TOKENS, SamplingParams, SequenceStep, Stepper
from sillar.errors import ContextLengthError

SPREAD = "half the distance between the quartiles over the median"


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """What to measure. Prompt sizes and contexts in tokens."""

    tokens: tuple[int, ...] = (128, 512, 2048)
    decode_tokens: int = 64
    """Tokens drawn one by one in a run of decoding."""
    repeats: int = 5
    chunk: int = 512
    """Tokens of a prompt in one step."""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Prompt:
    """The one sequence that runs: its tokens, and the first blocks of the cache."""

    tokens: NDArray[np.int32]
    blocks: NDArray[np.int32]


def measure(
    stepper: Stepper, options: BenchOptions, progress: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """Returns {"prefill": [{tokens, tokens_per_second, spread}], "decode": [{context, ...}], "spread": ...}.

    Raises ContextLengthError where a size does not fit the model's context or the KV cache.
    """
    longest = max(options.tokens) + options.decode_tokens
    room = min(stepper.context_length, stepper.kv_blocks * BLOCK_TOKENS)
    if longest > room:
        raise ContextLengthError(
            f"{longest} tokens asked for; the model and its KV cache hold {room}: use --tokens"
        )
    tokens = np.random.default_rng(options.seed).integers(0, stepper.vocab_size, longest, dtype=np.int32)
    prompt = Prompt(tokens, np.arange(-(-longest // BLOCK_TOKENS), dtype=np.int32))
    prefill, decode = [], []
    for count in options.tokens:
        progress(f"prefill of {count} tokens")
        speeds = _speeds(partial(_prefill, stepper, prompt, count, options.chunk), count, options.repeats)
        prefill.append({"tokens": count, **_summary(speeds)})
        progress(f"decode after {count} tokens")
        run = partial(_decode, stepper, prompt, count, options.decode_tokens)
        decode.append({"context": count, **_summary(_speeds(run, options.decode_tokens, options.repeats))})
    return {"prefill": prefill, "decode": decode, "spread": SPREAD}


def _speeds(run: Callable[[], None], tokens: int, repeats: int) -> list[float]:
    run()
    speeds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        run()
        speeds.append(tokens / (time.perf_counter() - begin))
    return speeds


def _prefill(stepper: Stepper, prompt: Prompt, count: int, chunk: int) -> None:
    for past in range(0, count, chunk):
        end = min(past + chunk, count)
        stepper.step([_share(prompt, past, end, outputs=int(end == count))])


def _decode(stepper: Stepper, prompt: Prompt, context: int, count: int) -> None:
    for past in range(context, context + count):
        stepper.step([_share(prompt, past, past + 1, outputs=1)])


def _share(prompt: Prompt, past: int, end: int, *, outputs: int) -> SequenceStep:
    return SequenceStep(
        tokens=prompt.tokens[past:end],
        past=past,
        blocks=prompt.blocks[: -(-end // BLOCK_TOKENS)],
        outputs=outputs,
        sampling=SamplingParams(),
    )


def _summary(speeds: Sequence[float]) -> dict[str, float]:
    median = statistics.median(speeds)
    if len(speeds) < 2:
        return {"tokens_per_second": round(median, 2), "spread": 0.0}
    low, _, high = statistics.quantiles(speeds, n=4, method="inclusive")
    return {"tokens_per_second": round(median, 2), "spread": round((high - low) / 2 / median, 4)}
