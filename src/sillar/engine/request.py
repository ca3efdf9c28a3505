"""The values that the engine's parts hand each other: sampling options, a step's batch, its result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

BLOCK_TOKENS = 16
"""Tokens in one block of the KV cache."""


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How the next token is drawn. The defaults are greedy.

    temperature 0 is greedy. top_k 0, top_p 1, min_p 0 and the neutral penalties switch a filter off.
    `seed` fixes the draw: the same seed, prompt and options give the same tokens in any batch.
    """

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    seed: int = 0
    logprobs: int = 0
    """How many of the most likely tokens to report with their log-probabilities, beside the drawn one's."""

    @property
    def needs_history(self) -> bool:
        """Whether the draw depends on the tokens before it."""
        return self.repetition_penalty != 1.0 or self.presence_penalty != 0.0 or self.frequency_penalty != 0.0


@dataclass(frozen=True, slots=True)
class SequenceStep:
    """One sequence's share of a step: new tokens at positions past, past+1, ...

    `outputs` is how many of the last new tokens produce logits: 0 for a prompt's inner chunks, 1 for its
    last chunk and for decoding, d+1 for a verification of d drafted tokens, all for prompt logprobs.
    For each output row one token is drawn with `sampling`; the row's own draw is independent of the
    others, so drafts are verified by comparing. The first len(targets) rows draw nothing: they report the
    log-probability of the token in `targets`.
    """

    tokens: NDArray[np.int32]
    past: int
    blocks: NDArray[np.int32]
    """Block table: covers at least positions 0 .. past + len(tokens) - 1."""
    outputs: int
    sampling: SamplingParams
    history: NDArray[np.int32] | None = None
    """All tokens before tokens[0], for penalties; needed when sampling.needs_history."""
    allowed: NDArray[np.uint32] | None = None
    """Bit mask of allowed tokens, [outputs, ceil(vocab / 32)]; None: all."""
    targets: NDArray[np.int32] | None = None
    """[at most outputs]"""


@dataclass(frozen=True, slots=True)
class StepResult:
    """What a step drew, row by row in the order of the sequences and their outputs."""

    tokens: NDArray[np.int32]
    """[rows], a row's target where it has one"""
    logprobs: NDArray[np.float32]
    """[rows], of the row's token under the unmodified distribution"""
    top_tokens: Sequence[NDArray[np.int32]]
    """[rows] of [sampling.logprobs]"""
    top_logprobs: Sequence[NDArray[np.float32]]
    logits: NDArray[np.float32] | None = None
    """[rows, vocab] when asked for"""


class Stepper(Protocol):
    """What the engine needs of a model. One caller at a time; `step` blocks without holding the GIL."""

    @property
    def vocab_size(self) -> int: ...

    @property
    def context_length(self) -> int: ...

    @property
    def kv_blocks(self) -> int:
        """Blocks in the KV cache, numbered from 0."""
        ...

    def step(self, batch: Sequence[SequenceStep]) -> StepResult: ...


FinishReason = Literal["stop", "length", "cancelled"]
"""stop: an end-of-sequence token, a stop token or a stop string; length: max_tokens or the context's end."""


class Constraint(Protocol):
    """A grammar that a request's output follows. One instance a request; called between steps only."""

    def fresh(self) -> Constraint:
        """The same grammar at its beginning, for another request."""
        ...

    def mask(self) -> NDArray[np.uint32]:
        """Bit mask of the tokens allowed next, [ceil(vocab / 32)]."""
        ...

    def advance(self, token: int) -> bool:
        """Takes the drawn token; true when the output is complete and must end here."""
        ...


@dataclass(frozen=True, slots=True)
class GenerationParams:
    """What a request asks for, beside its prompt.

    `max_tokens` None means up to the context's end. Before `min_tokens` no end-of-sequence token is
    drawn. `stop` strings are looked for in the decoded text, across token borders, and never emitted.
    `prompt_logprobs` k asks for the log-probability of every prompt token and its k best alternatives
    (0: the token's own only; None: not at all), from token `prompt_logprobs_from` on: what is before that may
    come from the cache. `tenant` separates cached prefixes and shares capacity;
    a higher `priority` goes first and may preempt.
    """

    sampling: SamplingParams = field(default_factory=SamplingParams)
    max_tokens: int | None = None
    min_tokens: int = 0
    stop: tuple[str, ...] = ()
    stop_ids: frozenset[int] = frozenset()
    ignore_eos: bool = False
    prompt_logprobs: int | None = None
    prompt_logprobs_from: int = 0
    tenant: str = ""
    priority: int = 0
    lookup: bool = True
    """Draft tokens from the prompt (prompt lookup): exact, only faster."""
    constraint: Constraint | None = None


@dataclass(frozen=True, slots=True)
class TokenScore:
    """A token with its log-probability and the best alternatives' (most likely first)."""

    token: int
    logprob: float | None
    top: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """What a request cost, in tokens. `accepted` of `drafted` prompt-lookup tokens were right."""

    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    drafted_tokens: int = 0
    accepted_tokens: int = 0
    admitted: float = 0.0
    """When it first left the queue, as time.perf_counter() says it; 0: never."""


@dataclass(frozen=True, slots=True)
class TokenEvent:
    """One generated token. The last event of a request has a finish reason and the usage.

    A prompt's scores come with the first event, when asked for. The end-of-sequence token is an event
    as well; a request that ends without a new token ends with token None.
    """

    token: int | None
    logprob: float = 0.0
    top: tuple[tuple[int, float], ...] = ()
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    prompt_scores: tuple[TokenScore, ...] | None = None
