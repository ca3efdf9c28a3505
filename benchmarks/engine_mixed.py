"""A long prompt among decoding streams, through the whole engine: what its scheduler makes of both.

python -m benchmarks.engine_mixed MODEL.gguf [--prompt 4096] [--streams 8]
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks import machine
from benchmarks.make_model import find_model
from benchmarks.report import p95
from sillar.engine.engine import Engine, EngineOptions
from sillar.engine.native import NativeOptions, load_decoder
from sillar.engine.request import GenerationParams, Stepper
from sillar.engine.stream import TokenStream

SEED = 20261122
QUIET_TOKENS = 48


def tokens(stepper: Stepper, count: int, salt: int) -> list[int]:
    generator = np.random.default_rng(SEED + salt)
    return [int(token) for token in generator.integers(0, stepper.vocab_size, count)]


async def first_token(engine: Engine, prompt: list[int]) -> float:
    """Seconds until a prompt's first token."""
    begin = time.perf_counter()
    async for _ in engine.generate(prompt, GenerationParams(max_tokens=1, ignore_eos=True)):
        pass
    return time.perf_counter() - begin


async def follow(stream: TokenStream, times: list[float], warm: asyncio.Event) -> None:
    """Notes when tokens arrive, and says when there are enough."""
    async for _ in stream:
        times.append(time.perf_counter())
        if len(times) >= QUIET_TOKENS:
            warm.set()


async def measure(stepper: Stepper, streams: int, context: int, prompt: int) -> dict[str, Any]:
    """`alone` and `ttft`: seconds to the prompt's first token without and among the streams; `quiet` and
    `busy`: the gaps between a stream's tokens before it came and while it was processed."""
    params = GenerationParams(ignore_eos=True, lookup=False)
    async with Engine(stepper, EngineOptions()) as engine:
        await first_token(engine, tokens(stepper, prompt, 1))
        alone = await first_token(engine, tokens(stepper, prompt, 2))
        running = [engine.submit(tokens(stepper, context, 10 + i), params) for i in range(streams)]
        times: list[list[float]] = [[] for _ in running]
        warm = [asyncio.Event() for _ in running]
        followers = [asyncio.create_task(follow(*each)) for each in zip(running, times, warm, strict=True)]
        for event in warm:
            await event.wait()
        begin = time.perf_counter()
        ttft = await first_token(engine, tokens(stepper, prompt, 3))
        end = time.perf_counter()
        for stream in running:
            stream.cancel()
        await asyncio.gather(*followers)
    quiet, busy = [], []
    decoding = max(stamps[8] for stamps in times)  # before, some streams waited for the others' prompts
    for stamps in times:
        pairs = list(pairwise(stamps))
        quiet += [b - a for a, b in pairs if decoding <= a and b < begin]
        busy += [b - a for a, b in pairs if begin <= b <= end]
    return {"alone": alone, "ttft": ttft, "quiet": quiet, "busy": busy}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", help="a path, a catalogue name or SHAPE:KIND")
    parser.add_argument("--prompt", type=int, default=4096)
    parser.add_argument("--streams", type=int, default=8)
    parser.add_argument("--context", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=2)
    arguments = parser.parse_args()
    path = find_model(arguments.model)
    room = arguments.prompt + arguments.streams * (arguments.context + 2048)
    stepper = load_decoder(path, NativeOptions(kv_tokens=room))
    sizes = (arguments.streams, arguments.context, arguments.prompt)
    runs = [asyncio.run(measure(stepper, *sizes)) for _ in range(arguments.repeats)]
    middle = [[1e3 * statistics.median(run[when]) for run in runs] for when in ("quiet", "busy")]
    result = {
        "gap_p50_quiet_ms": statistics.median(middle[0]),
        "gap_p50_ratio": statistics.median(busy / quiet for quiet, busy in zip(*middle, strict=True)),
        "gap_quiet_ms": statistics.median(1e3 * p95(run["quiet"]) for run in runs),
        "gap_busy_ms": statistics.median(1e3 * p95(run["busy"]) for run in runs),
        "gap_ratio": statistics.median(p95(run["busy"]) / p95(run["quiet"]) for run in runs),
        "ttft_alone_s": statistics.median(run["alone"] for run in runs),
        "ttft_ratio": statistics.median(run["ttft"] / run["alone"] for run in runs),
    }
    machine.emit("engine_mixed", {"model": path.name, "prompt": arguments.prompt, **result})


if __name__ == "__main__":
    main()
