"""What the engine's Python costs: the gap between two native steps, next to the steps, at 16 streams.

Every stream decodes text (detokenised in the event loop, as a server does) after a prompt of its own. The
gap holds commit, delivery, the next schedule, and whatever the event loop keeps the interpreter for.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Sequence
from typing import Any

from benchmarks import machine
from benchmarks.make_model import find_model
from sillar import hub
from sillar.engine.engine import EngineOptions
from sillar.engine.language_model import LanguageModel
from sillar.engine.request import GenerationParams, SequenceStep, Stepper, StepResult


class Timed:
    """A stepper that notes when each step of so many rows began and ended."""

    def __init__(self, stepper: Stepper, rows: int) -> None:
        self._stepper = stepper
        self._rows = rows
        self._ended = self._cpu = 0.0
        self.steps: list[float] = []
        self.gaps: list[float] = []
        self.cpu: list[float] = []  # of the gaps, this thread's own: what others' load does not change
        self.vocab_size = stepper.vocab_size
        self.context_length = stepper.context_length
        self.kv_blocks = stepper.kv_blocks

    def step(self, batch: Sequence[SequenceStep]) -> StepResult:
        begin, cpu = time.perf_counter(), time.thread_time()
        result = self._stepper.step(batch)
        end = time.perf_counter()
        if len(batch) == self._rows and all(len(s.tokens) == 1 for s in batch):
            if self._ended:
                self.gaps.append(begin - self._ended)
                self.cpu.append(cpu - self._cpu)
            self.steps.append(end - begin)
            self._ended, self._cpu = end, time.thread_time()
        else:
            self._ended = 0.0
        return result


async def measure(model: LanguageModel, timed: Timed, streams: int, tokens: int) -> dict[str, Any]:
    """Runs the streams to their end; medians in seconds."""

    async def follow(i: int) -> None:
        params = GenerationParams(max_tokens=tokens, ignore_eos=True, lookup=False)
        messages = [{"role": "user", "content": f"Tell a story about {i} ships and the sea."}]
        async for _ in model.chat(messages, params):
            pass

    async with model:
        await asyncio.gather(*(follow(i) for i in range(streams)))
    step, gap, cpu = map(statistics.median, (timed.steps, timed.gaps, timed.cpu))
    return {
        "streams": streams,
        "steps": len(timed.steps),
        "step_ms": round(step * 1e3, 3),
        "gap_ms": round(gap * 1e3, 3),
        "gap_cpu_ms": round(cpu * 1e3, 3),
        "gap_ms_p95": round(statistics.quantiles(timed.gaps, n=20)[-1] * 1e3, 3),
        "python_share": round(gap / (gap + step), 4),
        "python_share_cpu": round(cpu / (cpu + step), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", default=hub.DEFAULT_CHAT_MODEL, help="a path or catalogue name")
    parser.add_argument("--streams", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=256)
    options = parser.parse_args()
    path = find_model(options.model)
    model = LanguageModel.load(path, options=EngineOptions(max_running=options.streams))
    timed = Timed(model.engine._stepper, options.streams)
    model.engine._worker._stepper = timed
    result = asyncio.run(measure(model, timed, options.streams, options.tokens))
    machine.emit("engine_overhead", {"model": path.name, **result})


if __name__ == "__main__":
    main()
