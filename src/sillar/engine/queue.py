"""Requests that wait: by priority, then those that already ran, then the tenant that was served least.

Counting served tokens a tenant is the virtual token counter of Sheng et al., "Fairness in Serving Large
Language Models" (2024): a tenant that comes back from idleness starts at the least of those present.
"""

from __future__ import annotations

from bisect import insort
from collections import deque

from sillar.engine.sequence import Sequence


class TenantCounters:
    """Tokens served to each tenant that has a live request."""

    def __init__(self) -> None:
        self._served: dict[str, int] = {}
        self._live: dict[str, int] = {}

    def enter(self, tenant: str) -> None:
        """A request of this tenant begins."""
        if tenant not in self._live:
            self._live[tenant] = 0
            self._served[tenant] = min(self._served.values(), default=0)
        self._live[tenant] += 1

    def leave(self, tenant: str) -> None:
        """A request of this tenant ended."""
        self._live[tenant] -= 1
        if self._live[tenant] == 0:
            del self._live[tenant], self._served[tenant]

    def serve(self, tenant: str, tokens: int) -> None:
        self._served[tenant] += tokens

    def served(self, tenant: str) -> int:
        return self._served[tenant]


class WaitingQueue:
    """Who is admitted next."""

    def __init__(self, counters: TenantCounters) -> None:
        self._counters = counters
        self._resuming: list[tuple[tuple[int, int], Sequence]] = []  # preempted, by rank
        self._fresh: dict[int, dict[str, deque[Sequence]]] = {}  # priority -> tenant -> in order
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, sequence: Sequence) -> None:
        self._size += 1
        if sequence.started:
            insort(self._resuming, (sequence.rank, sequence), key=lambda pair: pair[0])
            return
        tenants = self._fresh.setdefault(sequence.params.priority, {})
        tenants.setdefault(sequence.params.tenant, deque()).append(sequence)

    def peek(self) -> Sequence | None:
        """The next to admit; it stays in the queue until remove()."""
        best = self._resuming[0][1] if self._resuming else None
        if not self._fresh:
            return best
        priority = max(self._fresh)
        if best is not None and best.params.priority >= priority:
            return best
        tenants = self._fresh[priority]
        return tenants[min(tenants, key=self._counters.served)][0]

    def remove(self, sequence: Sequence) -> bool:
        """Takes it out, wherever it is; false when it was not waiting."""
        if sequence.started:
            before = len(self._resuming)
            self._resuming = [pair for pair in self._resuming if pair[1] is not sequence]
            found = len(self._resuming) < before
        else:
            found = self._remove_fresh(sequence)
        self._size -= found
        return found

    def _remove_fresh(self, sequence: Sequence) -> bool:
        priority, tenant = sequence.params.priority, sequence.params.tenant
        line = self._fresh.get(priority, {}).get(tenant)
        if line is None:
            return False
        try:
            line.remove(sequence)
        except ValueError:
            return False
        if not line:
            del self._fresh[priority][tenant]
            if not self._fresh[priority]:
                del self._fresh[priority]
        return True
