"""Sillar as a benchmark subject: a worker around the decoder, at its defaults."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks import engine_mixed, workloads
from benchmarks.worker import serve
from sillar import __version__
from sillar.engine.native import NativeDecoder, NativeOptions, load_decoder
from sillar.engine.request import BLOCK_TOKENS, SamplingParams, SequenceStep, StepResult

GREEDY = SamplingParams()


class Sillar(workloads.Subject):
    """One decoder behind the workloads' `step`; streams get consecutive blocks of its KV cache."""

    max_step_tokens = 512
    mixed_chunk = 256  # of the bare stepper; the engine chooses by measured time

    def __init__(self) -> None:
        self._decoder: NativeDecoder | None = None
        self._tables: list[np.ndarray] = []

    def load(self, path: str, threads: int, room: int, **settings: Any) -> dict[str, Any]:
        """Settings: kv_type, isa ($SILLAR_ISA), max_step_tokens."""
        settings.setdefault("isa", os.environ.get("SILLAR_ISA", ""))
        self.max_step_tokens = settings.pop("max_step_tokens", self.max_step_tokens)
        self._decoder = load_decoder(path, NativeOptions(threads=threads, kv_tokens=room, **settings))
        self.vocab_size = self._decoder.vocab_size
        about = {"engine": "Sillar", "version": __version__, "threads": self._decoder.threads}
        return about | {"isa": settings.get("isa") or "best"}

    def reserve(self, sizes: Sequence[int]) -> None:
        assert self._decoder is not None
        ends = np.cumsum([-(-tokens // BLOCK_TOKENS) for tokens in sizes])
        if ends[-1] > self._decoder.kv_blocks:
            raise RuntimeError(f"streams of {sizes} tokens do not fit: load with a larger kv_tokens")
        self._tables = np.split(np.arange(ends[-1], dtype=np.int32), ends[:-1])

    def step(self, parts: Sequence[workloads.Part]) -> list[int]:
        result = self._run(parts)
        return [int(token) for token in result.tokens]

    def step_logits(self, part: workloads.Part) -> np.ndarray:
        logits = self._run([part], outputs=len(part.tokens)).logits
        assert logits is not None
        return logits

    def truncate(self, stream: int, tokens: int) -> None:
        """Nothing to forget: a step overwrites what lies past its `past`."""

    def unload(self) -> None:
        self._decoder = None

    def mixed(self, streams: int, context: int, prompt: int) -> dict[str, Any]:
        """Through the whole engine, whose scheduler cuts the prompt."""
        assert self._decoder is not None
        return asyncio.run(engine_mixed.measure(self._decoder, streams, context, prompt))

    def _run(self, parts: Sequence[workloads.Part], outputs: int | None = None) -> StepResult:
        assert self._decoder is not None
        batch = [
            SequenceStep(
                tokens=np.asarray(part.tokens, dtype=np.int32),
                past=part.past,
                blocks=self._tables[part.stream],
                outputs=outputs or 1,
                sampling=GREEDY,
            )
            for part in parts
        ]
        return self._decoder.step(batch, want_logits=outputs is not None)


if __name__ == "__main__":
    subject = Sillar()
    serve(workloads.handlers(subject) | {"mixed": subject.mixed})
