"""Kept responses, from which a conversation can go on: in memory, bounded, each tenant's own."""

from __future__ import annotations

import json
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sillar.server.errors import ApiError

KEPT_RESPONSES = 256
KEPT_BYTES = 16 << 20
KEPT_SECONDS = 3600
"""Of each tenant: so many of the newest, so large together, for so long."""


@dataclass(frozen=True, slots=True)
class KeptResponse:
    """One response, and all that was said up to its end (its instructions excepted)."""

    payload: dict[str, Any]
    input: list[dict[str, Any]]
    messages: list[dict[str, Any]]
    size: int
    until: float


@dataclass(slots=True)
class _Shelf:
    responses: OrderedDict[str, KeptResponse] = field(default_factory=OrderedDict)
    size: int = 0

    def drop(self, name: str) -> None:
        self.size -= self.responses.pop(name).size


class ResponseStore:
    """Nothing is written to disk: a restart forgets. Tenants are as many as there are keys."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._shelves: dict[str, _Shelf] = {}

    def keep(
        self,
        tenant: str,
        payload: dict[str, Any],
        items: list[dict[str, Any]],
        messages: list[dict[str, Any]],
    ) -> None:
        """Oldest ones make room; one that is too large alone is not kept."""
        size = len(json.dumps([payload, items, messages], ensure_ascii=True))
        if size > KEPT_BYTES:
            return
        shelf = self._shelves.setdefault(tenant, _Shelf())
        until = self._clock() + KEPT_SECONDS
        shelf.responses[payload["id"]] = KeptResponse(payload, items, messages, size, until)
        shelf.size += size
        while shelf.size > KEPT_BYTES or len(shelf.responses) > KEPT_RESPONSES:
            shelf.drop(next(iter(shelf.responses)))

    def find(self, tenant: str, name: str, param: str | None = None) -> KeptResponse:
        """Raises ApiError 404 for one that this tenant does not have, or not any more."""
        shelf = self._shelves.get(tenant, _Shelf())
        kept = shelf.responses.get(name)
        if kept is not None and kept.until < self._clock():
            shelf.drop(name)
            kept = None
        if kept is None:
            raise ApiError(
                404,
                f"There is no response '{name[:100]}' here. The newest {KEPT_RESPONSES} are kept for "
                f"{KEPT_SECONDS // 60} minutes, and none over a restart: send the conversation as input.",
                param=param,
                code="response_not_found",
            )
        return kept

    def remove(self, tenant: str, name: str) -> None:
        """Raises ApiError 404 as find does."""
        self.find(tenant, name)
        self._shelves[tenant].drop(name)
