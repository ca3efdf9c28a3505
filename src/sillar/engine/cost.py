"""What a step costs, learnt from all steps: a fixed part, the streams' rows, prompts' tokens by their place.

A Kalman filter with four states that drift: steps of streams alone, of prompts alone and of both tell them
apart, so that how long so many streams take is known while prompts go on. R. E. Kalman, "A New Approach to
Linear Filtering and Prediction Problems" (1960).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FIRST_SPEED = 1000.0
"""Tokens of prompts a second, where nothing is known of the model."""
_USED = 0.4
"""Share of a processor's operations that prefill is sure to use, short of what else runs beside it."""
_SHAPE = np.array([5.7, 1.0, 1.0, 0.25])
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
        self._states: NDArray[np.float64] = _SHAPE / first_speed
        self._errors: NDArray[np.float64] = _UNSURE**2 * (
            np.outer(self._states, self._states) + np.diag(self._states**2)
        )
        self._decoded = self._prompted = 0

    def observe(self, rows: int, prompt: int, seconds: float, before: float = 0.0) -> None:
        """A step fed `rows` tokens of streams (and their drafts) and `prompt` of prompts and took so long.

        `before`: tokens before each of the prompts' tokens, on average.
        """
        fed = np.array([1.0, rows, prompt, prompt * before / _THOUSAND])
        states, errors = self._states, self._errors
        if self._decoded + self._prompted == 0:  # nothing but the states' proportions was known
            scale = max(seconds, 1e-9) / float(states @ fed)
            states, errors = scale * states, scale**2 * errors
        drifted = np.minimum(self._drift * states, _UNSURE * states - np.sqrt(np.diag(errors))).clip(0)
        errors = errors + np.diag(drifted**2)
        expected = float(states @ fed)
        towards = errors @ fed
        variance = float(fed @ towards) + (_NOISE * expected) ** 2
        most = _OUTLIER * variance**0.5
        states = states + towards / variance * min(max(seconds - expected, -most), most)
        least = _LEAST * (max(states[0], 0.0) + max(states[1], 0.0) + 1e-9)
        self._states = np.maximum(states, least * np.array([1.0, 1.0, 0.1, 0.0]))
        self._errors = errors - np.outer(towards, towards) / variance
        self._decoded += prompt == 0
        self._prompted += prompt > 0

    def row_price(self, rows: int) -> float:
        """Time of one more row, relative to the time that one of `rows` rows takes, in (0, 1].

        Below 1, because what a step reads of the weights is shared. A drafted token pays when it is right
        more often than this.
        """
        fixed, each = self._states[:2]
        return float(min(1.0, max(_LEAST, rows * each / (fixed + rows * each))))

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
        return float(fixed + rows * each + prompt * self._token(before))

    def _token(self, before: float) -> float:
        """Seconds of one more token of a prompt."""
        _, _, token, farther = self._states
        return float(token + farther * before / _THOUSAND)
