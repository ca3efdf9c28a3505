"""What a step costs, learnt from the steps: the price of one more row, and how many tokens fit a time."""

from __future__ import annotations

_FADE = 0.98
_LARGE = 48  # a step of so many tokens says how fast prefill is
_KNOWN = 8  # steps before anything is said of them
_SMALL = 32  # steps up to here say what one more row costs


class StepCost:
    """Running estimates from (tokens, seconds) of past steps. No clock of its own."""

    def __init__(self, row_price: float = 0.15, tokens_per_second: float = 1000.0) -> None:
        self._prior = row_price
        self._guess = tokens_per_second
        self._speed: dict[bool, float] = {}  # without streams, among them
        self._n = self._x = self._y = self._xx = self._xy = 0.0

    def observe(self, tokens: int, seconds: float, *, among_streams: bool = False) -> None:
        """A step fed so many tokens, some of them perhaps of streams that decode, and took so long."""
        if tokens >= _LARGE:
            # Large steps are rare and alike: trust a new one more.
            speed = tokens / max(seconds, 1e-6)
            known = self._speed.setdefault(among_streams, speed)
            self._speed[among_streams] = known + 0.3 * (speed - known)
        elif tokens <= _SMALL:
            self._n = self._n * _FADE + 1
            self._x = self._x * _FADE + tokens
            self._y = self._y * _FADE + seconds
            self._xx = self._xx * _FADE + tokens * tokens
            self._xy = self._xy * _FADE + tokens * seconds

    def row_price(self, rows: int) -> float:
        """Time of one more row, relative to the time that one of `rows` rows takes, in (0, 1].

        Below 1, because what a step reads of the weights is shared. A drafted token pays when it is right
        more often than this.
        """
        fixed, each = self._fit()
        return min(1.0, max(0.02, rows * each / (fixed + rows * each)))

    def decode_seconds(self, rows: int) -> float | None:
        """A step that feeds one token to each of so many streams; None: not known yet."""
        if self._n < _KNOWN:
            return None
        fixed, each = self._fit()
        return fixed + rows * each

    def budget(self, seconds: float, least: int, most: int, *, among_streams: bool = False) -> int:
        """Tokens of a step with a prompt in it that takes about so long."""
        speed = self._speed.get(among_streams) or self._speed.get(not among_streams) or self._first_guess()
        return max(least, min(most, int(speed * seconds)))

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
