"""Rate and concurrency of each client, as its key says."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sillar.server.auth import Client
from sillar.server.errors import ApiError

_MAX_VISITORS = 10_000


@dataclass(slots=True)
class _Use:
    allowance: float
    updated: float
    running: int = 0


class ClientLimits:
    """Token buckets of a minute's requests, and how many run; of keys and, where they say so, of addresses.

    One entry a key; of addresses the last ones seen.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._uses: dict[str, _Use] = {}
        self._visitors: OrderedDict[tuple[str, str], _Use] = OrderedDict()

    @contextmanager
    def admit(self, client: Client, address: str = "") -> Iterator[None]:
        """Around one request. Raises ApiError 429 when it is one too many."""
        if client.visitor_requests_per_minute:
            self._spend(self._visitor(client, address), client.visitor_requests_per_minute)
        use = self._uses.setdefault(client.name, _Use(client.requests_per_minute, self._clock()))
        if client.concurrent and use.running >= client.concurrent:
            raise _too_many(f"{client.concurrent} requests of this key are running.", 1)
        if client.requests_per_minute:
            self._spend(use, client.requests_per_minute)
        use.running += 1
        try:
            yield
        finally:
            use.running -= 1

    def _visitor(self, client: Client, address: str) -> _Use:
        key = (client.name, address)
        use = self._visitors.pop(key, None) or _Use(client.visitor_requests_per_minute, self._clock())
        self._visitors[key] = use
        while len(self._visitors) > _MAX_VISITORS:
            self._visitors.popitem(last=False)
        return use

    def _spend(self, use: _Use, per_minute: int) -> None:
        now = self._clock()
        use.allowance = min(per_minute, use.allowance + (now - use.updated) * per_minute / 60)
        use.updated = now
        if use.allowance < 1:
            wait = math.ceil((1 - use.allowance) * 60 / per_minute)
            raise _too_many(f"This key has {per_minute} requests a minute.", wait)
        use.allowance -= 1


def _too_many(message: str, seconds: int) -> ApiError:
    return ApiError(
        429,
        f"{message} Try again in {seconds} s.",
        code="rate_limit_exceeded",
        headers={"Retry-After": str(seconds)},
    )
