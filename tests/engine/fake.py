"""A Stepper without weights whose draws depend on every KV slot it reads.

A slot holds a mix of its token, its position and the sum of all slots before it, as in a transformer every
state depends on the whole past. A wrong block table, a block reused wrongly or a wrong `past` therefore
changes the tokens that come out.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sillar.engine.blocks import blocks_for
from sillar.engine.request import BLOCK_TOKENS, GenerationParams, SequenceStep, StepResult

MASK = (1 << 64) - 1


def mix(*values: int) -> int:
    """A 64-bit hash of integers."""
    h = 0x9E3779B97F4A7C15
    for value in values:
        h = ((h ^ (value & MASK)) * 0xBF58476D1CE4E5B9) & MASK
        h ^= h >> 29
    return h


class FakeStepper:
    """`order` 0: a draw depends on all slots; n: on the last n tokens (so that text repeats itself),
    unless some slot is not what it should be.
    """

    def __init__(
        self, kv_blocks: int = 64, *, vocab: int = 101, context: int = 4096, order: int = 0, pause: float = 0
    ) -> None:
        self.vocab_size = vocab
        self.context_length = context
        self.kv_blocks = kv_blocks
        self.order = order
        self.pause = pause
        self.steps = 0
        self.fed = 0
        self.poison: int | None = None  # a token that makes the step fail
        self.go = threading.Event()  # no step ends while it is clear
        self.go.set()
        rng = np.random.default_rng(7)  # never-written slots hold noise
        self.state = rng.integers(0, 1 << 63, (kv_blocks, BLOCK_TOKENS), np.uint64)
        self.token = rng.integers(0, vocab, (kv_blocks, BLOCK_TOKENS), np.int64)

    @property
    def block_bytes(self) -> int:
        return 2 * 8 * BLOCK_TOKENS

    def read_block(self, block: int) -> NDArray[np.uint8]:
        return np.concatenate([self.state[block].view(np.uint8), self.token[block].view(np.uint8)])

    def write_block(self, block: int, content: NDArray[np.uint8]) -> None:
        state, token = np.split(content, 2)
        self.state[block], self.token[block] = state.view(np.uint64), token.view(np.int64)

    def step(self, batch: Sequence[SequenceStep]) -> StepResult:
        if self.pause:
            time.sleep(self.pause)
        self.go.wait()
        self.steps += 1
        self._check_disjoint(batch)
        if any(self.poison is not None and self.poison in s.tokens.tolist() for s in batch):
            raise ValueError("poisoned token")
        before = self.state.copy(), self.token.copy()
        rows: list[tuple[int, int, SequenceStep]] = []
        for sequence in batch:
            rows.extend((draw, state, sequence) for draw, state in self._run(sequence, *before))
            self.fed += len(sequence.tokens)
        tops = [s.sampling.logprobs for _, _, s in rows]
        return StepResult(
            tokens=np.array([d for d, _, _ in rows], np.int32),
            logprobs=np.array([-(s % 1000) / 100 for _, s, _ in rows], np.float32),
            top_tokens=[np.arange(r[0], r[0] + n, dtype=np.int32) for r, n in zip(rows, tops, strict=True)],
            top_logprobs=[-np.arange(n, dtype=np.float32) for n in tops],
        )

    def _check_disjoint(self, batch: Sequence[SequenceStep]) -> None:
        written: set[int] = set()
        read: set[int] = set()
        for s in batch:
            first, end = s.past // BLOCK_TOKENS, blocks_for(s.past + len(s.tokens))
            table = s.blocks.tolist()
            assert len(table) >= end, "block table too short"
            own = set(table[first:end])
            assert len(own) == end - first, "a block twice in one table"
            assert not own & (written | read), "a block that is written by one is used by another"
            assert not set(table[:first]) & written, "a block that is read is written in the same step"
            written |= own
            read |= set(table[:first])

    def _run(
        self, s: SequenceStep, states: NDArray[np.uint64], tokens: NDArray[np.int64]
    ) -> list[tuple[int, int]]:
        table = s.blocks.tolist()
        assert len(s.tokens), "nothing to do"
        assert s.past + len(s.tokens) <= self.context_length
        past = states[table].ravel()[: s.past].tolist()
        known = tokens[table].ravel()[: s.past].tolist()
        if s.sampling.needs_history:
            assert s.history is not None
            assert s.history.tolist() == known
        total, intact = 0, True
        for position, (state, token) in enumerate(zip(past, known, strict=True)):
            intact &= state == mix(token, position, total)
            total = (total + state) & MASK
        drawn = []
        for i, token in enumerate(s.tokens.tolist()):
            position = s.past + i
            state = mix(token, position, total)
            total = (total + state) & MASK
            known.append(token)
            block = table[position // BLOCK_TOKENS]
            self.state[block, position % BLOCK_TOKENS] = state
            self.token[block, position % BLOCK_TOKENS] = token
            row = i - (len(s.tokens) - s.outputs)
            if row >= 0:
                seen = (total,) if self.order == 0 else (*known[-self.order :], not intact)
                drawn.append(self._draw(s, row, position, seen))
        return drawn

    def _draw(self, s: SequenceStep, row: int, position: int, seen: tuple[int, ...]) -> tuple[int, int]:
        state = mix(*seen)
        if s.targets is not None and row < len(s.targets):
            return int(s.targets[row]), mix(state, int(s.targets[row]))
        if s.sampling.temperature > 0:
            state = mix(state, s.sampling.seed, position)
        allowed = None if s.allowed is None else s.allowed[row]
        token = state % self.vocab_size
        for _ in range(self.vocab_size):
            bits_ok = allowed is None or (int(allowed[token // 32]) >> token % 32) & 1
            if bits_ok and s.sampling.logit_bias.get(token, 0) > -100:
                return token, state
            token = (token + 1) % self.vocab_size
        raise AssertionError("no token is allowed")


def oracle(
    prompt: Sequence[int],
    params: GenerationParams,
    *,
    order: int = 0,
    vocab: int = 101,
    eos: frozenset[int] = frozenset(),
    limit: int = 4096,
) -> list[int]:
    """What a request alone draws: whole prompt in one step, then token by token."""
    stepper = FakeStepper(blocks_for(4096), vocab=vocab, order=order)
    table = np.arange(stepper.kv_blocks, dtype=np.int32)[::-1].copy()
    tokens, past, output = list(prompt), 0, []
    stops = params.stop_ids if params.ignore_eos else eos | params.stop_ids
    most = min(limit, len(prompt) + (4096 if params.max_tokens is None else params.max_tokens))
    while len(tokens) < most:
        bias = dict.fromkeys(stops, -1e9) if len(output) < params.min_tokens else {}
        sampling = params.sampling
        if bias:
            sampling = replace(sampling, logit_bias=bias)
        new = np.array(tokens[past:], np.int32)
        result = stepper.step(
            [SequenceStep(new, past, table, 1, sampling, np.array(tokens[:past], np.int32))]
        )
        past = len(tokens)
        output.append(int(result.tokens[0]))
        tokens.append(output[-1])
        if output[-1] in stops:
            break
    return output
