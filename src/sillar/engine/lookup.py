"""Prompt lookup: drafts the tokens that followed the last occurrence of the current three.

The draft is verified in the same step and costs only its extra rows, so the output is exact; what adapts
is how many rows it is worth. After Saxena, "Prompt Lookup Decoding" (2023), and, for the expected gain
of d drafts, Leviathan et al., "Fast Inference from Transformers via Speculative Decoding" (2023).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

MAX_DRAFT = 15
_GRAM = 3
_BITS = 21  # a token id's bits in a packed three-gram
_MEMORY = 0.9  # weight of the past, per verified token
_PRIOR = (1.2, 0.8)  # accepted and refused tokens that a new sequence starts with
_RECOVERY = 0.98  # how fast an opportunity not taken makes the next one likelier


class PromptLookup:
    """Drafts for one sequence from its own tokens, and how much its drafts have been worth."""

    __slots__ = ("_accepted", "_index", "_indexed", "_refused")

    def __init__(self) -> None:
        self._index: dict[int, int] = {}
        self._indexed = _GRAM - 1  # where the next three-gram to index ends
        self._accepted, self._refused = _PRIOR

    @property
    def acceptance(self) -> float:
        """Estimated probability that a drafted token is right, given that those before it were."""
        return self._accepted / (self._accepted + self._refused)

    def draft(self, tokens: NDArray[np.int32], length: int, limit: int, row_price: float) -> list[int]:
        """Tokens to try after tokens[:length], at most `limit`; empty when it would not pay.

        row_price: time of one more row relative to the sequence's share of a step without it, in (0, 1].
        """
        if limit <= 0 or length <= _GRAM:
            return []
        self._extend(tokens, length)
        first, second, third = tokens[length - _GRAM : length].tolist()
        found = self._index.get((first << 2 * _BITS) | (second << _BITS) | third)
        if found is None:
            return []
        count = min(self._worthwhile(row_price), limit)
        if count == 0:
            self._refused = max(self._refused * _RECOVERY, _PRIOR[1])
            return []
        # What follows may run into the present: then it repeats itself with that period.
        period = length - found
        draft: list[int] = tokens[found : min(found + count, length)].tolist()
        while len(draft) < count:
            draft.append(draft[len(draft) - period])
        return draft

    def observe(self, drafted: int, accepted: int) -> None:
        """Learns from a verification; nothing is known about drafts after the first refused one."""
        refused = int(accepted < drafted)
        fade = _MEMORY ** (accepted + refused)
        self._accepted = self._accepted * fade + accepted
        self._refused = self._refused * fade + refused

    def _worthwhile(self, row_price: float) -> int:
        """The d-th drafted token is right with probability p^d and pays while that exceeds its price."""
        chance = self.acceptance
        if chance <= row_price:
            return 0
        if chance > 0.999:
            return MAX_DRAFT
        return min(MAX_DRAFT, int(math.log(row_price) / math.log(chance)))

    def _extend(self, tokens: NDArray[np.int32], length: int) -> None:
        """Indexes every three-gram whose next token is known, i.e. those that end before length - 1."""
        begin, end = self._indexed, length - 1
        if end <= begin:
            return
        if end - begin < 32:
            window = tokens[begin - _GRAM + 1 : end].tolist()
            for i in range(end - begin):
                key = (window[i] << 2 * _BITS) | (window[i + 1] << _BITS) | window[i + 2]
                self._index[key] = begin + i + 1
        else:
            wide = tokens[begin - _GRAM + 1 : end].astype(np.int64)
            keys = (wide[:-2] << 2 * _BITS) | (wide[1:-1] << _BITS) | wide[2:]
            self._index.update(zip(keys.tolist(), range(begin + 1, end + 1), strict=True))
        self._indexed = end
