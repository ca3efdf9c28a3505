"""The timed workloads, the same code for every engine: each engine only supplies `Subject`.

Tokens of prompts are drawn from a fixed seed; what is decoded is the model's own greedy choice.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.worker import memory_bytes

SEED = 20261122


@dataclass(frozen=True, slots=True)
class Part:
    """A stream's share of a step: its tokens at positions past, past + 1, ..."""

    stream: int
    tokens: Sequence[int]
    past: int


class Subject(ABC):
    """An engine under test. One model at a time; calls block."""

    vocab_size: int
    max_step_tokens: int
    """The longest step the engine takes at its best settings."""
    mixed_chunk: int
    """Tokens of a prompt that one step takes while others decode."""

    @abstractmethod
    def load(self, path: str, threads: int, room: int, **settings: Any) -> dict[str, Any]:
        """Loads a GGUF for `room` tokens of all streams together, and says what engine this is."""

    @abstractmethod
    def reserve(self, sizes: Sequence[int]) -> None:
        """Room in the KV cache for a stream of each size, in tokens; all empty."""

    @abstractmethod
    def step(self, parts: Sequence[Part]) -> list[int]:
        """Processes the parts together; the greedy next token of each part's last token."""

    @abstractmethod
    def step_logits(self, part: Part) -> np.ndarray:
        """Logits of every token of one part: float32 [tokens, vocab]."""

    @abstractmethod
    def truncate(self, stream: int, tokens: int) -> None:
        """Forgets what a stream holds past its first `tokens` tokens."""

    @abstractmethod
    def unload(self) -> None:
        """Frees the model."""


class Calls(ABC):
    """What compare.py calls of every engine, and how a worker answers it."""

    NAMES: tuple[str, ...] = ("load", "reserve", "fill", "decode", "memory")
    """The handlers."""
    subject: Subject | Generator

    def load(self, path: str, threads: int, room: int = 4096, **settings: Any) -> dict[str, Any]:
        begin = time.perf_counter()
        about = self.subject.load(path, threads, room, **settings)
        loaded = time.perf_counter()
        self.first_token()
        return about | {"load_s": loaded - begin, "first_token_s": time.perf_counter() - begin}

    @abstractmethod
    def first_token(self) -> None:
        """Draws a token, the first since the model was loaded."""

    def memory(self) -> dict[str, int]:
        return memory_bytes()

    def random_tokens(self, n: int, salt: int) -> list[int]:
        generator = np.random.default_rng(SEED + salt)
        return [int(token) for token in generator.integers(0, self.subject.vocab_size, n)]


class Workloads(Calls):
    """Calls that compare.py makes; each returns seconds, not rates."""

    NAMES = (*Calls.NAMES, "mixed", "greedy", "logits", "unload")

    def __init__(self, subject: Subject) -> None:
        self.subject: Subject = subject

    def first_token(self) -> None:
        self.subject.reserve([512])
        self.subject.step([Part(0, [1], 0)])

    def reserve(self, sizes: Sequence[int]) -> None:
        self.subject.reserve(sizes)

    def fill(self, streams: Sequence[int], tokens: int) -> float:
        """Prefills the streams with `tokens` random tokens each, one after the other; seconds in all."""
        begin = time.perf_counter()
        for stream in streams:
            self.subject.truncate(stream, 0)
            self._prefill(stream, self.random_tokens(tokens, stream))
        return time.perf_counter() - begin

    def decode(self, streams: int, context: int, tokens: int) -> list[float]:
        """Seconds of each of `tokens` steps that decode all streams at `context`, which must be filled."""
        for stream in range(streams):
            self.subject.truncate(stream, context)
        current = self.random_tokens(streams, 99)
        seconds = []
        for i in range(tokens):
            parts = [Part(stream, [current[stream]], context + i) for stream in range(streams)]
            begin = time.perf_counter()
            current = self.subject.step(parts)
            seconds.append(time.perf_counter() - begin)
        return seconds

    def mixed(self, streams: int, context: int, prompt: int) -> dict[str, Any]:
        """A prompt arrives among decoding streams, which are filled; the last stream's room is the prompt's.

        Every step decodes all streams and takes one chunk of the prompt. Returns the seconds of the steps
        before it came (`quiet`) and while it was processed (`busy`); their sum is its time to first token.
        """
        for stream in range(streams + 1):
            self.subject.truncate(stream, context if stream < streams else 0)
        tokens, chunk = self.random_tokens(prompt, streams), self.subject.mixed_chunk
        current, past = self.random_tokens(streams, 99), context
        quiet: list[float] = []
        busy: list[float] = []
        for begin in [-1] * 16 + list(range(0, prompt, chunk)):
            parts = [Part(stream, [current[stream]], past) for stream in range(streams)]
            if begin >= 0:
                parts.append(Part(streams, tokens[begin : begin + chunk], begin))
            start = time.perf_counter()
            current = self.subject.step(parts)
            (busy if begin >= 0 else quiet).append(time.perf_counter() - start)
            past += 1
        return {"quiet": quiet, "busy": busy}

    def greedy(self, prompt: Sequence[int], tokens: int) -> list[int]:
        """Greedy continuation of a prompt."""
        self.subject.truncate(0, 0)
        output = [self._prefill(0, prompt)]
        while len(output) < tokens:
            output += self.subject.step([Part(0, [output[-1]], len(prompt) + len(output) - 1)])
        return output

    def logits(self, tokens: Sequence[int], skip: int, path: str) -> None:
        """Writes the logits of tokens[skip:] as .npy, float32 [tokens, vocab], to `path`."""
        self.subject.truncate(0, 0)
        size, rows = 512, []
        for begin in range(0, len(tokens), size):
            part = self.subject.step_logits(Part(0, tokens[begin : begin + size], begin))
            rows.append(part[max(0, skip - begin) :])
        np.save(path, np.concatenate(rows))

    def unload(self) -> None:
        self.subject.unload()

    def _prefill(self, stream: int, tokens: Sequence[int]) -> int:
        size = self.subject.max_step_tokens
        for begin in range(0, len(tokens), size):
            next_tokens = self.subject.step([Part(stream, tokens[begin : begin + size], begin)])
        return next_tokens[0]


class Generator(ABC):
    """An engine that only generates: no steps of its own choosing, no cache that we can address."""

    vocab_size: int

    @abstractmethod
    def load(self, path: str, threads: int, room: int, **settings: Any) -> dict[str, Any]:
        """Loads a GGUF, and says what engine this is."""

    @abstractmethod
    def generate(self, prompts: Sequence[Sequence[int]], tokens: int) -> list[float]:
        """Greedily continues all prompts together by `tokens` tokens, computing everything anew.

        Returns the seconds from the call to each step's tokens: `tokens` of them, ascending.
        """


class Generations(Calls):
    """The calls of Workloads that whole generations can answer."""

    WORKLOADS = ("load", "prefill", "decode", "batched", "neighbour", "memory")

    def __init__(self, subject: Generator) -> None:
        self.subject: Generator = subject

    def load(self, path: str, threads: int, room: int = 4096, **settings: Any) -> dict[str, Any]:
        return super().load(path, threads, room, **settings) | {"workloads": self.WORKLOADS}

    def first_token(self) -> None:
        self.subject.generate([[1]], 1)

    def reserve(self, sizes: Sequence[int]) -> None:
        """Nothing to reserve: each generation makes its own room."""

    def fill(self, streams: Sequence[int], tokens: int) -> float:
        """Seconds to the first token after `tokens` random ones, of the streams one after the other."""
        prompts = [self.random_tokens(tokens, stream) for stream in streams]
        return sum(self.subject.generate([prompt], 1)[-1] for prompt in prompts)

    def decode(self, streams: int, context: int, tokens: int) -> list[float]:
        """Seconds of each of `tokens` steps after the first token, all streams together."""
        prompts = [self.random_tokens(context, stream) for stream in range(streams)]
        times = self.subject.generate(prompts, tokens + 1)
        return [end - begin for begin, end in pairwise(times)]


def handlers(subject: Subject | Generator) -> dict[str, Callable[..., Any]]:
    """The calls of a subject as a worker's handlers."""
    calls = Generations(subject) if isinstance(subject, Generator) else Workloads(subject)
    return {name: getattr(calls, name) for name in calls.NAMES}
