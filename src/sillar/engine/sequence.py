"""One request inside the engine: its tokens, its blocks, how far its KV cache is computed."""

from __future__ import annotations

from collections.abc import Sequence as Tokens
from dataclasses import replace

import numpy as np

from sillar.engine.blocks import BlockKey, blocks_for, child_key, root_key
from sillar.engine.lookup import MAX_DRAFT, PromptLookup
from sillar.engine.request import (
    BLOCK_TOKENS,
    GenerationParams,
    SamplingParams,
    TokenScore,
    Usage,
)


class Sequence:
    """State that only the scheduler changes.

    tokens[:length] are the prompt and the output so far, tokens[length:] room for drafts; the KV cache
    holds positions 0 .. computed - 1. A sequence decodes when length - computed is 1, else it prefills.
    """

    __slots__ = (
        "admitted",
        "blocks",
        "cached",
        "computed",
        "drafted",
        "draws",
        "draws_before_eos",
        "eos_ids",
        "held_keys",
        "length",
        "limit",
        "lookup",
        "number",
        "params",
        "prompt_length",
        "prompt_scores",
        "published",
        "rank",
        "right",
        "started",
        "stop_ids",
        "table",
        "tokens",
    )

    def __init__(
        self, number: int, prompt: Tokens[int], params: GenerationParams, limit: int, eos_ids: frozenset[int]
    ) -> None:
        """`limit`: prompt and output together never grow past it."""
        self.number = number
        self.params = params
        self.limit = limit
        self.tokens = np.empty(limit + MAX_DRAFT + 1, np.int32)
        self.prompt_length = self.length = len(prompt)
        self.tokens[: self.length] = prompt
        self.table = np.zeros(blocks_for(limit) + 1, np.int32)
        self.blocks: list[int] = []
        self.computed = 0
        self.published = 0  # blocks at the front whose content is findable
        self.cached = 0  # prompt tokens that were not computed for this request
        self.drafted = self.right = 0
        self.admitted = 0.0  # time.perf_counter(), once it ran
        self.started = False  # whether it ever ran: a preempted sequence resumes before others start
        self.rank = (-params.priority, number)
        self.lookup = PromptLookup() if params.lookup and params.constraint is None else None
        self.prompt_scores: list[TokenScore] = []
        self.held_keys: list[BlockKey] = []
        self.stop_ids = params.stop_ids if params.ignore_eos else params.stop_ids | eos_ids
        self.draws = params.sampling
        self.draws_before_eos = _without(params.sampling, self.stop_ids) if params.min_tokens else self.draws

    @property
    def generated(self) -> int:
        return self.length - self.prompt_length

    @property
    def pending(self) -> int:
        """Tokens that the next step could feed."""
        return self.length - self.computed

    @property
    def shares(self) -> bool:
        """Whether it may start from cached blocks: not when every prompt row's scores are asked for."""
        return self.first_row > 0 or self.params.prompt_logprobs is None

    @property
    def first_row(self) -> int:
        """The first position whose row scores the token after it, where scores are asked for."""
        return max(0, self.params.prompt_logprobs_from - 1)

    @property
    def cacheable(self) -> int:
        """Blocks at the front that may come from the cache: the rows after them have to be computed."""
        rows = self.length - 1 if self.params.prompt_logprobs is None else self.first_row
        return min(rows, self.length - 1) // BLOCK_TOKENS

    @property
    def scores_prompt(self) -> bool:
        """Whether the rows of its next steps score the prompt."""
        return self.params.prompt_logprobs is not None and self.length == self.prompt_length

    @property
    def sampling(self) -> SamplingParams:
        """How the next token is drawn."""
        return self.draws_before_eos if self.generated < self.params.min_tokens else self.draws

    def key(self, index: int) -> BlockKey:
        """The key of full block `index` of the known tokens."""
        keys = self.held_keys
        while len(keys) <= index:
            parent = keys[-1] if keys else root_key(self.params.tenant)
            begin = len(keys) * BLOCK_TOKENS
            keys.append(child_key(parent, self.tokens[begin : begin + BLOCK_TOKENS]))
        return keys[index]

    def add_block(self, block: int) -> None:
        self.table[len(self.blocks)] = block
        self.blocks.append(block)

    def replace_block(self, index: int, block: int) -> None:
        self.blocks[index] = block
        self.table[index] = block

    def draft_room(self) -> int:
        """How many drafted tokens the next step could take without drawing past a limit."""
        room = self.limit - self.length - 1
        if self.generated < self.params.min_tokens:  # rows of one step share their sampling
            room = min(room, self.params.min_tokens - self.generated - 1)
        return min(room, MAX_DRAFT)

    def usage(self) -> Usage:
        return Usage(self.prompt_length, self.cached, self.generated, self.drafted, self.right, self.admitted)


def _without(sampling: SamplingParams, banned: frozenset[int]) -> SamplingParams:
    return replace(sampling, logit_bias={**sampling.logit_bias, **dict.fromkeys(banned, -1e9)})
