"""The engine's thread: takes requests, runs schedule -> step -> commit, hands results to the event loop.

Everything that decides lives in this one thread, so a busy event loop never delays a step and nothing
needs a lock.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import NamedTuple

from sillar.engine.blocks import BlockManager
from sillar.engine.commit import SequenceOutput
from sillar.engine.cost import FIRST_SPEED, SLOW, StepCost
from sillar.engine.pace import Pace
from sillar.engine.request import Stepper, TokenEvent
from sillar.engine.scheduler import Batch, Scheduler, SchedulerOptions
from sillar.engine.sequence import Sequence
from sillar.engine.spill import KvSpill
from sillar.errors import SillarError

_log = logging.getLogger(__name__)


class Delivery(NamedTuple):
    """News for one request."""

    number: int
    events: list[TokenEvent]
    error: BaseException | None
    ended: bool


Command = Callable[[], None]


class Worker:
    """Owns the scheduler and is the only caller of the stepper."""

    def __init__(
        self,
        stepper: Stepper,
        options: SchedulerOptions,
        step_seconds: float,
        deliver: Callable[[list[Delivery]], None],
        clock: Callable[[], float] = time.perf_counter,
        spill: KvSpill | None = None,
        first_speed: float = FIRST_SPEED,
    ) -> None:
        """`first_speed`: see StepCost."""
        self._stepper = stepper
        self._spill = spill
        self._options = options
        self._deliver = deliver
        self._clock = clock
        self._inbox: SimpleQueue[Command] = SimpleQueue()
        self._closed = False
        self._live: dict[int, Sequence] = {}
        self.cost = StepCost(first_speed)
        self._steady_cost = StepCost(first_speed, SLOW)
        self.pace = Pace(self.cost, step_seconds, options.budget)
        self.steady_pace = Pace(self._steady_cost, step_seconds, options.budget)
        """By the mean of many steps: for forecasts."""
        self.scheduler = self._new_scheduler()

    def add(self, sequence: Sequence) -> None:
        """From any thread."""
        self._inbox.put(lambda: self._add(sequence))

    def cancel(self, number: int) -> None:
        """From any thread. No delivery follows for that request."""
        self._inbox.put(lambda: self._cancel(number))

    def close(self) -> None:
        """From any thread: stop after the current step, whatever is unfinished."""
        self._inbox.put(self._close)

    def run(self) -> None:
        """The thread's body."""
        while True:
            try:
                self._take_commands()
                if self._closed:
                    break
                deliveries = self._step()
            except Exception as error:
                deliveries = self._start_over(error)
            if deliveries:
                self._deliver(deliveries)
        if self._spill is not None:
            self._spill.save_all(self.scheduler.blocks)

    # ------------------------------------------------------------ commands

    def _take_commands(self) -> None:
        """All that wait; when there is nothing to compute, waits for one."""
        while True:
            idle = self.scheduler.idle and not self._closed
            if idle and self._inbox.empty() and self._save_one():
                continue
            try:
                command = self._inbox.get(block=idle)
            except Empty:
                return
            command()

    def _save_one(self) -> bool:
        return self._spill is not None and self._spill.save_one(self.scheduler.blocks)

    def _add(self, sequence: Sequence) -> None:
        self._live[sequence.number] = sequence
        self.scheduler.add(sequence)

    def _cancel(self, number: int) -> None:
        sequence = self._live.pop(number, None)
        if sequence is not None:
            self.scheduler.remove(sequence)

    def _close(self) -> None:
        self._closed = True

    # ------------------------------------------------------------ a step

    def _step(self) -> list[Delivery]:
        self._set_limits()
        batch = self.scheduler.schedule()
        if not batch.works:
            assert batch.failed, "requests, but nothing to do"
            return self._delivered(batch.failed)
        begin = self._clock()
        try:
            result = self._stepper.step(batch.steps)
        except Exception as error:
            return self._step_each(batch, error)
        seconds = self._clock() - begin
        for cost in (self.cost, self._steady_cost):
            cost.observe(batch.tokens - batch.prompt_tokens, batch.prompt_tokens, seconds, batch.before)
        return self._delivered(self.scheduler.commit(batch, result))

    def _set_limits(self) -> None:
        """By the speed seen."""
        running = self.scheduler.running
        streams = sum(1 for sequence in running if sequence.generated)
        prompts = len(running) - streams + len(self.scheduler.waiting)
        begun = [sequence.computed for sequence in running if sequence.pending > 1]
        before = sum(begun) / len(begun) if begun else 0.0
        self._options.row_price = self.cost.row_price(max(1, len(running)))
        self._options.budget = streams + self.pace.tokens(streams, prompts, before)

    def _step_each(self, batch: Batch, error: Exception) -> list[Delivery]:
        """A step failed: each sequence again on its own, so that only the culprit fails."""
        _log.warning("a step of %d sequences failed: %s", len(batch.works), error)
        deliveries = self._delivered(batch.failed)
        for work, step in zip(batch.works, batch.steps, strict=True):
            try:
                result = self._stepper.step([step])
            except Exception as own:
                deliveries.append(self._failed(work.sequence, own))
                continue
            single = Batch([work], [step], work.count + work.drafts)
            deliveries.extend(self._delivered(self.scheduler.commit(single, result)))
        return deliveries

    def _delivered(self, outputs: list[SequenceOutput]) -> list[Delivery]:
        deliveries = []
        for output in outputs:
            ended = output.finish_reason is not None
            if ended:
                del self._live[output.sequence.number]
            deliveries.append(Delivery(output.sequence.number, output.events, output.error, ended))
        return deliveries

    def _failed(self, sequence: Sequence, error: BaseException) -> Delivery:
        self.scheduler.remove(sequence)
        self._live.pop(sequence.number, None)
        return Delivery(sequence.number, [], error, True)

    def _start_over(self, error: Exception) -> list[Delivery]:
        """A defect outside a single request: all of them fail, and the engine goes on from a clean state."""
        _log.exception("the engine starts over with an empty cache")
        failure = SillarError(f"The engine failed and started over: {error}. Try the request again.")
        deliveries = [Delivery(number, [], failure, True) for number in self._live]
        self._live.clear()
        stats = self.scheduler.stats
        if self._spill is not None:
            self._spill.forget()
        self.scheduler = self._new_scheduler()
        self.scheduler.stats = stats
        return deliveries

    def _new_scheduler(self) -> Scheduler:
        sharing = self._options.prefix_cache
        blocks = BlockManager(self._stepper.kv_blocks, sharing=sharing, witness=self._spill)
        return Scheduler(blocks, self._options, self._spill)
