"""Who is let in: bounded numbers, and by measured speed nobody who would wait too long for those before.

The forecast follows the scheduler's order: by priority, half of a step for the tenant that was served least,
half for the shortest prompt (docs/engine.md).
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable
from collections.abc import Sequence as Items
from dataclasses import dataclass

from sillar.engine.blocks import BlockManager, blocks_for
from sillar.engine.margin import Margin
from sillar.engine.pace import Pace
from sillar.engine.request import BLOCK_TOKENS, GenerationParams
from sillar.engine.scheduler import FAR_SHORTER
from sillar.engine.sequence import Sequence
from sillar.errors import OverloadedError

_FADE = 0.9  # of the mean answer's length, an answer
_LONGEST = 600  # seconds that a client is told to wait at most
_TELLING = 0.25  # share of the target from which on a forecast's error says something of the target's


@dataclass(frozen=True, slots=True)
class AdmissionLimits:
    """Of requests running, and waiting beside them.

    `first_token_seconds`: a request is refused where its first token would come later than that by forecast,
    and later than in twice the time that its prompt takes alone; None: no limit.
    """

    running: int
    waiting: int
    first_token_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """What a request would wait for those before it, in seconds; `own`: what its prompt alone takes."""

    seconds: float
    own: float


@dataclass(slots=True)
class _Entry:
    """A live request. `new`: tokens of its prompt that nobody had or was computing when it came."""

    sequence: Sequence
    new: int
    came: float
    wait: Wait | None
    """As forecast when it came; None where nothing was, and once its first token is there."""

    @property
    def prompt_left(self) -> int:
        """Tokens until its first, or next, one is drawn; 0: it streams."""
        pending = self.sequence.pending
        return 0 if pending <= 1 and self.sequence.generated else min(self.new, pending)


class Admission:
    """The live requests of an engine, and whether one more may come. Belongs to the event loop's thread.

    It reads sequences that the engine's thread changes: numbers that may be a step old.
    """

    def __init__(
        self,
        limits: AdmissionLimits,
        pace: Pace,
        blocks: Callable[[], BlockManager],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._limits = limits
        self._pace = pace
        self._blocks = blocks
        self._clock = clock
        self._margin = Margin()
        self._entries: dict[int, _Entry] = {}
        self._answer: float | None = None  # tokens, running mean

    def __len__(self) -> int:
        return len(self._entries)

    def enter(self, sequence: Sequence, wait: Wait | None = None) -> None:
        """From now on it is before others. `wait`: as check() said."""
        new, _ = self._new_tokens(sequence)
        self._entries[sequence.number] = _Entry(sequence, new, self._clock(), wait)
        self._margin.asked(sequence.params.tenant, refused=False)

    def drew(self, number: int) -> None:
        """It got a token: its first one says how good the forecast was."""
        entry, target = self._entries[number], self._limits.first_token_seconds
        wait, entry.wait = entry.wait, None
        if wait is not None and target is not None and wait.seconds + wait.own > _TELLING * target:
            self._margin.came(wait.seconds + wait.own, self._clock() - entry.came)

    def leave(self, number: int, *, finished: bool) -> None:
        """It ended, by itself or not."""
        sequence = self._entries.pop(number).sequence
        if finished:
            mean = sequence.generated if self._answer is None else self._answer
            self._answer = _FADE * mean + (1 - _FADE) * sequence.generated

    def check_numbers(self, tenant: str) -> None:
        """Raises OverloadedError where there are too many already, or too many of this tenant."""
        limits = self._limits
        most = limits.running + limits.waiting
        if len(self._entries) >= most:
            raise self._overloaded(tenant, f"{most} requests are running or waiting.")
        # One tenant never fills the queue so that the others find it full.
        own = sum(1 for entry in self._entries.values() if entry.sequence.params.tenant == tenant)
        share = limits.running + limits.waiting // 2
        if own >= share and limits.waiting > 1:
            raise self._overloaded(tenant, f"{share} requests of this client are running or waiting.")

    def check(self, sequence: Sequence) -> Wait | None:
        """Raises OverloadedError where those before it take too long: see AdmissionLimits.

        Nobody is refused where nobody is before it, however long its prompt. None: nothing was forecast.
        """
        target = self._limits.first_token_seconds
        if target is None or not self._entries:
            return None
        wait = self.forecast(sequence)
        margin = self._margin.factor(sequence.params.tenant)
        if margin * wait.seconds > max(target - margin * wait.own, wait.own):
            told = f"The requests before this one take {wait.seconds:.1f} s more."
            raise self._overloaded(sequence.params.tenant, told, wait.seconds)
        return wait

    def check_places(self, params: GenerationParams, most: int) -> None:
        """Raises OverloadedError where check() would, whatever a prompt of up to `most` tokens holds."""
        target = self._limits.first_token_seconds
        if target is None or not self._entries:
            return
        streams, prompts = self._company()
        wait = self._place_seconds(params, 1, self._pace.token_seconds(streams, prompts))
        if wait > max(target, most * self._pace.prompt_seconds(streams, prompts + 1, most)):
            raise self._overloaded(params.tenant, f"All places are taken, for {wait:.1f} s more.", wait)

    def forecast(self, sequence: Sequence) -> Wait:
        """What a request that is not in yet would wait."""
        params = sequence.params
        streams, prompts = self._company()
        new, uncached = self._new_tokens(sequence)
        before = [entry for entry in self._before(params) if entry.prompt_left]
        left = [(e.sequence.params.tenant, e.prompt_left) for e in before]
        ahead = max(0, _tokens_ahead(left, params.tenant, new) + new - uncached)
        reach = sum(e.prompt_left * (e.sequence.length - e.prompt_left / 2) for e in before)
        of_those = self._pace.prompt_seconds(
            streams, prompts + 1, reach / max(1, sum(tokens for _, tokens in left))
        )
        price = self._pace.prompt_seconds(streams, prompts + 1, sequence.length - uncached / 2)
        need = blocks_for(sequence.length)
        place = self._place_seconds(params, need, self._pace.token_seconds(streams, prompts))
        return Wait(max(ahead * of_those, place), uncached * price)

    def _company(self) -> tuple[int, int]:
        """How many stream, and how many prompts there are."""
        streams = sum(1 for entry in self._entries.values() if entry.prompt_left == 0)
        return streams, len(self._entries) - streams

    def _before(self, params: GenerationParams) -> list[_Entry]:
        return [e for e in self._entries.values() if e.sequence.params.priority >= params.priority]

    def _new_tokens(self, sequence: Sequence) -> tuple[int, int]:
        """Of its prompt: what is neither cached nor being computed for another, and what is not cached."""
        length = sequence.prompt_length
        blocks = self._blocks()
        if not sequence.shares or not blocks.sharing:
            return length, length
        keys = [sequence.key(index) for index in range(sequence.cacheable)]
        cached = next((i for i, key in enumerate(keys) if blocks.find(key) is None), len(keys))
        known = max((_common(keys, e.sequence.held_keys) for e in self._entries.values()), default=0)
        return length - BLOCK_TOKENS * max(cached, known), length - BLOCK_TOKENS * cached

    def _place_seconds(self, params: GenerationParams, need: int, step: float) -> float:
        """Until so many have ended that it can run with `need` blocks; each leaves a place and its blocks."""
        before = self._before(params)
        waiting = [entry for entry in before if not entry.sequence.blocks]
        running = [entry for entry in before if entry.sequence.blocks]
        places = 1 + _fair([(e.sequence.params.tenant, 1) for e in waiting], params.tenant, 1)
        places -= self._limits.running - len(running)
        held = sum(len(entry.sequence.blocks) for entry in running)
        blocks = sum(blocks_for(entry.new) for entry in waiting) + need
        blocks -= self._blocks().count - held
        seconds = 0.0
        for left, freed in sorted((self._answer_left(e.sequence), len(e.sequence.blocks)) for e in running):
            if places <= 0 and blocks <= 0:
                break
            places, blocks, seconds = places - 1, blocks - freed, left * step
        return seconds

    def _answer_left(self, sequence: Sequence) -> float:
        """Tokens: all that it may have; as most end sooner, the mean answer, beyond that as much again."""
        left = sequence.limit - sequence.length
        return left if self._answer is None else min(left, max(self._answer, sequence.generated))

    def _overloaded(self, tenant: str, message: str, seconds: float = 1.0) -> OverloadedError:
        self._margin.asked(tenant, refused=True)
        wait = min(max(1, math.ceil(seconds)), _LONGEST)
        return OverloadedError(f"{message} Try again in {wait} s.", retry_after=wait)


def _tokens_ahead(left: Items[tuple[str, int]], tenant: str, own: int) -> int:
    """Of `left` (tenant, tokens), what is computed before a prompt of `own` tokens: all of it at most.

    As its tenant is due, far shorter ones take up to half of the steps; far shorter itself, it has half.
    """
    fair = _fair(left, tenant, own)
    shorter = sum(tokens for _, tokens in left if FAR_SHORTER * tokens <= own)
    others = sum(tokens for _, tokens in left if tokens < FAR_SHORTER * own)
    return min(sum(tokens for _, tokens in left), fair + min(shorter, fair + own), 2 * others + own)


def _fair(left: Items[tuple[str, int]], tenant: str, own: int) -> int:
    """Of `left`, what comes before a tenant's next `own`: its own, and no more of each other tenant's."""
    tenants: dict[str, int] = defaultdict(int)
    for name, amount in left:
        tenants[name] += amount
    mine = tenants.pop(tenant, 0)
    return mine + sum(min(amount, mine + own) for amount in tenants.values())


def _common(keys: Items[bytes], others: Items[bytes]) -> int:
    """Blocks at the front that both have. A key stands for everything before it, too."""
    low, high = 0, min(len(keys), len(others))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if keys[middle - 1] == others[middle - 1] else (low, middle - 1)
    return low
