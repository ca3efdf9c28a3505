"""How far forecasts of the first token were off, and how much of that a refusal should take into account.

A margin keeps the promise to those let in, and refuses some whom there would have been time for. While most
of a tenant's are refused anyway, others of its are let in soon after; while hardly any is, it only costs.
"""

from __future__ import annotations

from collections import OrderedDict, deque

_KEPT = 64  # forecasts
_WORST = 2.0  # more is not the forecast's error
_FIRST = 1.3  # one forecast's error to begin with; measured on machines with other work
_FADE = 0.9  # of the share of requests that were refused, a request
_FULL = 0.4  # that share from which on the margin counts whole
_TENANTS = 1000  # that were refused last


class Margin:
    """A factor for forecasts, from those that were made and what share of a tenant's requests is refused."""

    def __init__(self) -> None:
        self._errors: deque[float] = deque([_FIRST], maxlen=_KEPT)
        self._refused: OrderedDict[str, float] = OrderedDict()

    def asked(self, tenant: str, *, refused: bool) -> None:
        """A request came, and was refused or not."""
        share = self._refused.pop(tenant, 0.0)
        if refused or share:
            self._refused[tenant] = _FADE * share + (1 - _FADE) * refused
        if len(self._refused) > _TENANTS:
            self._refused.popitem(last=False)

    def came(self, forecast: float, seconds: float) -> None:
        """A first token came after `seconds` where `forecast` was said."""
        self._errors.append(min(seconds / forecast, _WORST))

    def factor(self, tenant: str) -> float:
        """At least 1."""
        error = max(
            1.0, *self._errors
        )  # one in 64 exceeds it where five in a hundred may: errors come in groups
        return 1 + (error - 1) * min(1.0, self._refused.get(tenant, 0.0) / _FULL)
