"""Many requests on one model at once: submit a prompt, read its tokens as they are drawn."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from types import TracebackType

from sillar.engine.admission import Admission, AdmissionLimits, Wait
from sillar.engine.cost import FIRST_SPEED
from sillar.engine.request import BLOCK_TOKENS, GenerationParams, Stepper, TokenEvent
from sillar.engine.scheduler import SchedulerOptions, SchedulerStats
from sillar.engine.sequence import Sequence as EngineSequence
from sillar.engine.spill import KvSpill, SpillOptions
from sillar.engine.stream import TokenStream
from sillar.engine.worker import Delivery, Worker
from sillar.errors import ContextLengthError, OverloadedError, RequestError

_SWITCH_SECONDS = 0.0003


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """Limits of one engine."""

    max_running: int = 64
    """Requests that share a step."""
    max_waiting: int = 256
    """Requests beyond those, before new ones are refused with OverloadedError."""
    first_token_seconds: float | None = None
    """See AdmissionLimits."""
    max_step_tokens: int = 512
    step_seconds: float = 0.1
    """What a step with a prompt in it should take at most: the pause it puts into the others' streams."""
    prefix_cache: bool = True
    lookup: bool = True
    kv_spill: SpillOptions | None = None
    """Keeps the prefix cache on disk for the next start. Read where a model is loaded."""


class Engine:
    """Continuous batching over a Stepper. `async with Engine(stepper) as engine: ...`

    One event loop owns it. Requests fail alone: RequestError for what cannot be served as asked,
    ContextLengthError for a prompt that does not fit, OverloadedError when the queue is full or closing.
    """

    def __init__(
        self,
        stepper: Stepper,
        options: EngineOptions | None = None,
        *,
        eos_ids: frozenset[int] = frozenset(),
        spill: KvSpill | None = None,
        first_speed: float = FIRST_SPEED,
    ) -> None:
        """`spill` keeps blocks of the KV cache on disk; the engine closes it.

        `first_speed`: tokens of prompts a second, for forecasts until steps were measured.
        """
        self._stepper = stepper
        self.options = options or EngineOptions()
        self._eos_ids = eos_ids
        self.capacity = min(stepper.context_length, stepper.kv_blocks * BLOCK_TOKENS)
        """Tokens of one request, prompt and output together."""
        self._streams: dict[int, TokenStream] = {}
        self._next = 0
        self._closing = False
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        scheduling = SchedulerOptions(
            max_running=self.options.max_running,
            budget=self.options.max_step_tokens,
            prefix_cache=self.options.prefix_cache,
            lookup=self.options.lookup,
        )
        self._spill = spill
        self._worker = Worker(
            stepper, scheduling, self.options.step_seconds, self._post, spill=spill, first_speed=first_speed
        )
        limits = AdmissionLimits(
            self.options.max_running, self.options.max_waiting, self.options.first_token_seconds
        )
        self._admission = Admission(limits, self._worker.steady_pace, lambda: self._worker.scheduler.blocks)

    async def __aenter__(self) -> Engine:
        self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def start(self) -> None:
        """Starts the engine's thread; results go to the running event loop."""
        if self._thread is not None:
            return
        self._loop = asyncio.get_running_loop()
        # The engine's thread wants the interpreter back at once after a step, not after 5 ms.
        sys.setswitchinterval(min(sys.getswitchinterval(), _SWITCH_SECONDS))
        self._thread = threading.Thread(target=self._worker.run, name="sillar-engine", daemon=True)
        self._thread.start()

    async def close(self) -> None:
        """Ends what still runs with OverloadedError and stops the thread after its current step."""
        self._closing = True
        error = OverloadedError("The engine is shutting down. Try again later.")
        for number in list(self._streams):
            self._end(number).push([], error, True)
        if self._thread is not None:
            self._worker.close()
            await asyncio.to_thread(self._thread.join)
            self._thread = None
        if self._spill is not None:
            await asyncio.to_thread(self._spill.close)

    @property
    def vocab_size(self) -> int:
        """Tokens that the model's output has rows for."""
        return self._stepper.vocab_size

    @property
    def active(self) -> int:
        """Requests that run or wait."""
        return len(self._streams)

    @property
    def stats(self) -> SchedulerStats:
        """Counters since the start; read while they change."""
        return self._worker.scheduler.stats

    def speeds(self) -> tuple[float | None, float | None]:
        """Tokens a second as seen: of prompts alone, and of one stream alone; None: not known yet."""
        cost = self._worker.steady_pace.cost
        step = cost.decode_seconds(1)
        return cost.prompt_speed, None if step is None else 1 / step

    def gauges(self) -> dict[str, int]:
        """Of this moment: running, waiting, kv_blocks, kv_used, kv_cached, kv_spilled, evictions."""
        scheduler = self._worker.scheduler
        blocks = scheduler.blocks
        return {
            "running": len(scheduler.running),
            "waiting": max(0, self.active - len(scheduler.running)),
            "kv_blocks": blocks.count,
            "kv_used": blocks.used,
            "kv_cached": blocks.cached,
            "kv_spilled": 0 if self._spill is None else self._spill.blocks,
            "evictions": blocks.evictions,
        }

    def prompt_seconds(self) -> float:
        """That a token of a prompt would take which came now, by the speed seen lately and what runs."""
        return self._worker.pace.prompt_seconds(len(self._worker.scheduler.running), 1)

    def submit(
        self, prompt: Sequence[int], params: GenerationParams, *, follows: bool = False
    ) -> TokenStream:
        """Queues a request, or raises at once what is wrong with it. Read the stream, or cancel it.

        `follows`: it is part of one that was let in, and does not count as waiting for that.
        """
        if self._loop is None:
            raise RuntimeError("start the engine first: async with Engine(...)")
        sequence, wait = self._checked(prompt, params, follows=follows)
        number = self._next
        self._next += 1
        stream = TokenStream(lambda: self._cancel(number), sequence.usage)
        self._streams[number] = stream
        self._admission.enter(sequence, wait)
        self._worker.add(sequence)
        return stream

    async def generate(self, prompt: Sequence[int], params: GenerationParams) -> AsyncIterator[TokenEvent]:
        """The tokens that follow prompt, one event each; leaving the iterator cancels the request."""
        stream = self.submit(prompt, params)
        try:
            async for event in stream:
                yield event
        finally:
            stream.cancel()

    def check(self, prompt: Sequence[int], params: GenerationParams) -> None:
        """Raises what submit() would raise now, and queues nothing."""
        self._checked(prompt, params, follows=False)

    def check_early(self, params: GenerationParams, most: int) -> None:
        """Raises OverloadedError where any prompt of up to `most` tokens would be refused."""
        self._check_open(params.tenant)
        self._admission.check_places(params, most)

    def _checked(
        self, prompt: Sequence[int], params: GenerationParams, *, follows: bool
    ) -> tuple[EngineSequence, Wait | None]:
        self._check(prompt, params)
        self._check_open(params.tenant)
        room = self.capacity - len(prompt)
        limit = len(prompt) + (room if params.max_tokens is None else min(params.max_tokens, room))
        sequence = EngineSequence(self._next, prompt, params, limit, self._eos_ids)
        return sequence, None if follows else self._admission.check(sequence)

    def _check(self, prompt: Sequence[int], params: GenerationParams) -> None:
        if not prompt:
            raise RequestError("The prompt is empty.")
        if min(prompt) < 0 or max(prompt) >= self._stepper.vocab_size:
            raise RequestError(f"The prompt has a token outside 0..{self._stepper.vocab_size - 1}.")
        room = self.capacity - len(prompt)
        if room < (0 if params.max_tokens == 0 else 1):
            raise ContextLengthError(
                f"The prompt has {len(prompt)} tokens; this model takes {self.capacity} with the answer."
            )
        if (params.max_tokens or 0) < 0 or params.min_tokens < 0:
            raise RequestError("max_tokens and min_tokens must not be negative.")
        if not 0 <= params.prompt_logprobs_from < len(prompt):
            raise RequestError("prompt_logprobs_from must be one of the prompt's tokens.")

    def _check_open(self, tenant: str) -> None:
        if self._closing:
            raise OverloadedError("The engine is shutting down. Try again later.")
        self._admission.check_numbers(tenant)

    def _cancel(self, number: int) -> None:
        if number in self._streams:
            self._end(number)
            self._worker.cancel(number)

    def _end(self, number: int, *, finished: bool = False) -> TokenStream:
        self._admission.leave(number, finished=finished)
        return self._streams.pop(number)

    def _post(self, deliveries: list[Delivery]) -> None:
        """From the engine's thread."""
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(self._receive, deliveries)
        except RuntimeError:  # the loop was closed without us: nobody listens any more
            self._worker.close()

    def _receive(self, deliveries: list[Delivery]) -> None:
        for delivery in deliveries:
            stream = self._streams.get(delivery.number)
            if stream is None:  # cancelled meanwhile
                continue
            if delivery.events:
                self._admission.drew(delivery.number)
            if delivery.ended:
                self._end(delivery.number, finished=delivery.error is None)
            stream.push(delivery.events, delivery.error, delivery.ended)
