"""How long a step with a prompt in it is made, and how fast prompts get on then: by the speed seen."""

from __future__ import annotations

from sillar.engine.cost import StepCost

LEAST_PROMPT = 16
"""Tokens of prompts in a step, whatever they cost."""

_SLOWDOWN = 3.8
"""How many times as long as without it a step with a prompt in it should take: under 4, with the jitter."""
_UNSEEN = 0.025
"""Seconds between tokens that nobody notices: 40 a second are more than a screen's reader follows."""
_SLOW = 0.25
"""Seconds that no step should exceed for a prompt's sake, unless the streams' own step is near that."""
_ALONE = 3
"""Times `step_seconds`, where no stream is disturbed: larger steps are the faster ones."""


class Pace:
    """What a step may take, from what steps cost. Reads `cost` only, so any thread may ask."""

    def __init__(self, cost: StepCost, step_seconds: float, most_tokens: int) -> None:
        """`step_seconds`: wanted where several prompts wait. `most_tokens`: of one step."""
        self.cost = cost
        self._step_seconds = step_seconds
        self._most_tokens = most_tokens

    def seconds(self, streams: int, prompts: int) -> float:
        """What a step with a prompt in it may take: a few times what the streams' own step takes.

        With several prompts waiting at least `step_seconds`: longer steps are the faster ones.
        """
        if streams == 0:
            return _ALONE * self._step_seconds
        quiet = self.cost.decode_seconds(streams)
        if quiet is None:
            return self._step_seconds
        wanted = min(max(_SLOWDOWN * quiet, _UNSEEN), max(_SLOW, 2 * quiet))
        return wanted if prompts <= 1 else max(wanted, self._step_seconds)

    def tokens(self, streams: int, prompts: int) -> int:
        """Of prompts, that a step takes besides the streams' own."""
        tokens = self.cost.prompt_tokens(self.seconds(streams, prompts), streams)
        return max(1, min(max(LEAST_PROMPT, tokens), self._most_tokens - streams))

    def prompt_seconds(self, streams: int, prompts: int) -> float:
        """That a prompt's token takes, the streams' share of its step with it."""
        tokens = self.tokens(streams, prompts)
        return self.cost.seconds(tokens, streams) / tokens

    def token_seconds(self, streams: int, prompts: int) -> float:
        """Between two tokens of a stream."""
        if prompts == 0 and (quiet := self.cost.decode_seconds(streams)) is not None:
            return quiet
        return self.cost.seconds(self.tokens(streams, prompts), streams)
