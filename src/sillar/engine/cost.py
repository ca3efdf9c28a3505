"""What a step costs, learnt from the steps: of one more row, of a prompt's tokens alone and among streams."""

from __future__ import annotations

_FADE = 0.98
_LARGE = 48  # a step of so many tokens of prompts alone says how fast prefill is,
_LONG = 0.1  # and one of so many seconds
_NEW = 0.4  # how much the newest step with a prompt in it counts: a token costs more the longer its prompt is
SLOW = 0.05
"""The same for what is to hold over many steps."""
_KNOWN = 8  # steps before anything is said of them
_SMALL = 32  # steps up to here say what one more row costs
FIRST_SPEED = 1000.0
"""Tokens of prompts a second, where nothing is known of the model."""
_USED = 0.4
"""Share of a processor's operations that prefill is sure to use, short of what else runs beside it."""


def first_speed(operations: float, peak: float) -> float:
    """Tokens of prompts a second to begin with, where one takes so many operations and the peak is known."""
    return _USED * peak / max(1.0, operations)


class StepCost:
    """Running estimates from the tokens and seconds of past steps. No clock of its own."""

    def __init__(self, row_price: float = 0.15, first_speed: float = FIRST_SPEED, new: float = _NEW) -> None:
        """`first_speed`: of prompts, in tokens a second, until steps were measured."""
        self._prior = row_price
        self._guess = first_speed
        self._new = new
        self._alone: float | None = None  # tokens/s of prompts without streams
        self._among: float | None = None  # seconds that a prompt's token adds to the streams' own step
        self._n = self._x = self._y = self._xx = self._xy = 0.0

    def observe(self, rows: int, prompt: int, seconds: float) -> None:
        """A step fed `rows` tokens of streams (and their drafts) and `prompt` of prompts and took so long."""
        if prompt and rows:
            added = max(seconds - (self.decode_seconds(rows) or 0.0), 0.05 * seconds) / prompt
            self._among = added if self._among is None else self._among + self._new * (added - self._among)
        elif prompt >= _LARGE or (prompt and seconds >= _LONG):
            speed = prompt / max(seconds, 1e-6)
            self._alone = speed if self._alone is None else self._alone + self._new * (speed - self._alone)
        elif 0 < rows <= _SMALL:
            self._n = self._n * _FADE + 1
            self._x = self._x * _FADE + rows
            self._y = self._y * _FADE + seconds
            self._xx = self._xx * _FADE + rows * rows
            self._xy = self._xy * _FADE + rows * seconds

    def row_price(self, rows: int) -> float:
        """Time of one more row, relative to the time that one of `rows` rows takes, in (0, 1].

        Below 1, because what a step reads of the weights is shared. A drafted token pays when it is right
        more often than this.
        """
        fixed, each = self._fit()
        return min(1.0, max(0.02, rows * each / (fixed + rows * each)))

    @property
    def prompt_speed(self) -> float | None:
        """Tokens a second of prompts without streams beside them; None: none was seen yet."""
        return self._alone

    def decode_seconds(self, rows: int) -> float | None:
        """A step that feeds one token to each of so many streams; None: not known yet."""
        if self._n < _KNOWN:
            return None
        fixed, each = self._fit()
        return fixed + rows * each

    def prompt_tokens(self, seconds: float, rows: int = 0) -> int:
        """Tokens of prompts that a step with so many tokens of streams can take in that time; may be 0."""
        free = seconds - (self.decode_seconds(rows) or 0.0) if rows else seconds
        return max(0, int(free / self._added(rows)))

    def seconds(self, prompt: int, rows: int) -> float:
        """A step with so many tokens of prompts and of streams."""
        quiet = (self.decode_seconds(rows) or 0.0) if rows else 0.0
        return quiet + prompt * self._added(rows)

    def _added(self, rows: int) -> float:
        """Seconds of one more token of a prompt, alone or among streams."""
        alone = 1 / (self._alone or self._first_guess())
        return self._among or alone if rows else alone

    def _first_guess(self) -> float:
        """Before any prompt was seen: a prompt's token takes no longer than one more row of a decode step."""
        return self._guess if self._n < _KNOWN else 1 / self._fit()[1]

    def _fit(self) -> tuple[float, float]:
        """Seconds of a step without rows, and of each row: least squares, or the prior's shares at first."""
        prior = (1 - self._prior, self._prior)
        if self._n < _KNOWN:
            return prior
        scale = self._y / (prior[0] * self._n + prior[1] * self._x)
        prior = (scale * prior[0], scale * prior[1])
        spread = self._n * self._xx - self._x * self._x
        if spread < 0.5 * self._n:
            return prior
        each = (self._n * self._xy - self._x * self._y) / spread
        fixed = (self._y - each * self._x) / self._n
        total = max(fixed + each, 1e-9)
        # Noise may turn either negative; the prior's neighbourhood is never far off.
        each = max(each, 0.02 * total)
        return max(total - each, 0.0), each
