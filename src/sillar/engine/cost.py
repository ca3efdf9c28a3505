"""What a step costs, learnt from all steps: a fixed part, the streams' rows, prompts' tokens by their place.

A Kalman filter with four states that drift: steps of streams alone, of prompts alone and of both tell them
apart, so that how long so many streams take is known while prompts go on. R. E. Kalman, "A New Approach to
Linear Filtering and Prediction Problems" (1960).
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import mul

FIRST_SPEED = 1000.0
"""Tokens of prompts a second, where nothing is known of the model."""
_USED = 0.4
"""Share of a processor's operations that prefill is sure to use, short of what else runs beside it."""
_SHAPE = (5.7, 1.0, 1.0, 0.25)
"""The states in units of a prompt's token: a step, a row, a token, what a thousand tokens before it add."""
_UNSURE = 2.0  # how far off they may be at first, as multiples
_NOISE = 0.15  # of a step's time, as it comes
_DRIFT = 0.02  # of a state from step to step
SLOW = 0.01
"""The same for what is to hold over many steps."""
_OUTLIER = 2.0  # deviations: what is more counts as these, since other work on the machine comes in bursts
_KNOWN = 8  # steps before anything is said of them
_LEAST = 0.02  # of a step and a row together, that each of them is
_THOUSAND = 1000
_SPOKEN_OF = 512  # tokens of a prompt whose speed is told


def first_speed(operations: float, peak: float) -> float:
    """Tokens of prompts a second to begin with, where one takes so many operations and the peak is known."""
    return _USED * peak / max(1.0, operations)


class StepCost:
    """Running estimates from the tokens and seconds of past steps. No clock of its own."""

    def __init__(self, first_speed: float = FIRST_SPEED, drift: float = _DRIFT) -> None:
        """`first_speed`: of prompts, in tokens a second, until steps were measured."""
        self._drift = drift
        self._states = tuple(part / first_speed for part in _SHAPE)
        self._errors = [
            [_UNSURE**2 * a * b * (2 if i == j else 1) for j, b in enumerate(self._states)]
            for i, a in enumerate(self._states)
        ]
        self._decoded = self._prompted = 0

    def observe(self, rows: int, prompt: int, seconds: float, before: float = 0.0) -> None:
        """A step fed `rows` tokens of streams (and their drafts) and `prompt` of prompts and took so long.

        `before`: tokens before each of the prompts' tokens, on average.
        """
        fed = (1.0, rows, prompt, prompt * before / _THOUSAND)
        if self._decoded + self._prompted == 0:  # nothing but the states' proportions was known
            self._rescale(max(seconds, 1e-9) / _dot(self._states, fed))
        states, errors = self._states, self._errors
        for i, state in enumerate(states):
            error = errors[i][i]
            errors[i][i] += max(0.0, min(self._drift * state, _UNSURE * state - max(error, 0.0) ** 0.5)) ** 2
        expected = _dot(states, fed)
        towards = [_dot(row, fed) for row in errors]
        variance = _dot(towards, fed) + (_NOISE * expected) ** 2
        most = _OUTLIER * variance**0.5
        change = min(max(seconds - expected, -most), most) / variance
        fixed, each, token, farther = (
            state + change * toward for state, toward in zip(states, towards, strict=True)
        )
        least = _LEAST * (max(fixed, 0.0) + max(each, 0.0) + 1e-9)
        self._states = (max(fixed, least), max(each, least), max(token, 0.1 * least), max(farther, 0.0))
        self._errors = [
            [error - a * b / variance for error, b in zip(row, towards, strict=True)]
            for row, a in zip(errors, towards, strict=True)
        ]
        self._decoded += prompt == 0
        self._prompted += prompt > 0

    def _rescale(self, scale: float) -> None:
        self._states = tuple(scale * state for state in self._states)
        self._errors = [[scale**2 * error for error in row] for row in self._errors]

    def row_price(self, rows: int) -> float:
        """Time of one more row, relative to the time that one of `rows` rows takes, in (0, 1].

        Below 1, because what a step reads of the weights is shared. A drafted token pays when it is right
        more often than this.
        """
        fixed, each = self._states[:2]
        return min(1.0, max(_LEAST, rows * each / (fixed + rows * each)))

    @property
    def prompt_speed(self) -> float | None:
        """Tokens a second of a prompt without streams beside it; None: none was seen yet."""
        if self._prompted == 0:
            return None
        return _SPOKEN_OF / self.seconds(_SPOKEN_OF, 0, _SPOKEN_OF / 2)

    def decode_seconds(self, rows: int) -> float | None:
        """A step that feeds one token to each of so many streams; None: not known yet."""
        return None if self._decoded < _KNOWN else self.seconds(0, rows)

    def prompt_tokens(self, seconds: float, rows: int = 0, before: float = 0.0) -> int:
        """Tokens of prompts that a step with so many tokens of streams can take in that time; may be 0.

        `before`: tokens before the first of them.
        """
        free = seconds - self.seconds(0, rows)
        return max(0, int(free / self._token(before)))

    def seconds(self, prompt: int, rows: int, before: float = 0.0) -> float:
        """A step with so many tokens of prompts, each with `before` before it on average, and of streams."""
        fixed, each = self._states[:2]
        return fixed + rows * each + prompt * self._token(before)

    def _token(self, before: float) -> float:
        """Seconds of one more token of a prompt."""
        _, _, token, farther = self._states
        return token + farther * before / _THOUSAND


def _dot(one: Iterable[float], other: Iterable[float]) -> float:
    total: float = sum(map(mul, one, other))
    return total
