"""Says on stderr how far a long evaluation is."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")
_EVERY_S = 15.0


def watched(items: Sequence[T], what: str) -> Iterator[T]:
    """The items; every quarter of a minute a line that says how many are done, and in how many seconds."""
    started = said = time.monotonic()
    for done, item in enumerate(items):
        now = time.monotonic()
        if now - said >= _EVERY_S:
            print(f"  {what}: {done} of {len(items)}, {now - started:.0f} s", file=sys.stderr, flush=True)
            said = now
        yield item
