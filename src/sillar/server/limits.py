"""Rate and concurrency of each client, as its key says."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sillar.server.auth import Client
from sillar.server.errors import ApiError


@dataclass(slots=True)
class _Use:
    allowance: float
    updated: float
    running: int = 0


class ClientLimits:
    """Token buckets of a minute's requests, and how many run. One entry a key: bounded by the keys."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._uses: dict[str, _Use] = {}

    @contextmanager
    def admit(self, client: Client) -> Iterator[None]:
        """Around one request. Raises ApiError 429 when it is one too many."""
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
