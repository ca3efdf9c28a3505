"""How long a step with a prompt in it is made, and how fast prompts get on then: by the speed seen."""

from __future__ import annotations

from sillar.engine.cost import StepCost

LEAST_PROMPT = 16
"""Tokens of prompts in a step, whatever they cost."""

_SLOWDOWN = 3.8
"""How many times as long as without it a step with a prompt in it should take: under 4, with the jitter."""
_UNSEEN = 0.025
"""Seconds between tokens that nobody notices: 40 a second are more than a screen's reader follows."""
_LEAST_SHARE = 2
"""Times what it takes without, that a step with a prompt in it always may: half of it is the prompts'."""
_ALONE = 5
"""Times `step_seconds`, where no stream is disturbed: each step reads all weights again."""


class Pace:
    """What a step may take, from what steps cost. Reads `cost` only, so any thread may ask."""

    def __init__(self, cost: StepCost, step_seconds: float, most_tokens: int) -> None:
        """`step_seconds`: of a step with prompts and streams in it at most. `most_tokens`: of one step."""
        self.cost = cost
        self._step_seconds = step_seconds
        self._most_tokens = most_tokens

    def seconds(self, streams: int, prompts: int) -> float:
        """What a step with a prompt in it may take: a few times what the streams' own step takes.

        `step_seconds` at most, and where several prompts wait: longer steps are the faster ones. Slow streams
        leave prompts half of the time.
        """
        if streams == 0:
            return _ALONE * self._step_seconds
        quiet = self.cost.decode_seconds(streams)
        if quiet is None:
            return self._step_seconds
        wanted = self._step_seconds if prompts > 1 else max(_SLOWDOWN * quiet, _UNSEEN)
        return max(min(wanted, self._step_seconds), _LEAST_SHARE * quiet)

    def tokens(self, streams: int, prompts: int, before: float = 0.0) -> int:
        """Of prompts, each with so many `before` it, that a step takes besides the streams' own."""
        tokens = self.cost.prompt_tokens(self.seconds(streams, prompts), streams, before)
        return max(1, min(max(LEAST_PROMPT, tokens), self._most_tokens - streams))

    def prompt_seconds(self, streams: int, prompts: int, before: float = 0.0) -> float:
        """That a prompt's token takes with so many before it, the streams' share of its step with it."""
        tokens = self.tokens(streams, prompts, before)
        return self.cost.seconds(tokens, streams, before) / tokens

    def token_seconds(self, streams: int, prompts: int) -> float:
        """Between two tokens of a stream."""
        return self.cost.seconds(self.tokens(streams, prompts) if prompts else 0, streams)
