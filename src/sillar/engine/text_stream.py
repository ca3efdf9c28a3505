"""A request's tokens as text: incremental decoding, stop strings across token borders, several choices."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace

from sillar.engine.codec import Codec
from sillar.engine.request import FinishReason, GenerationParams, TokenEvent, TokenScore, Usage
from sillar.engine.stops import StopMatcher
from sillar.engine.stream import TokenStream


@dataclass(frozen=True, slots=True)
class TextEvent:
    """A piece of one choice's text with the tokens that it came from.

    The last event of a choice has a finish reason and the usage; it may have no text. `prompt_scores`
    come with the first event, when asked for.
    """

    text: str
    index: int = 0
    tokens: tuple[TokenScore, ...] = ()
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    prompt_scores: tuple[TokenScore, ...] | None = None
    end: TokenScore | None = None
    """The control token that ended the choice, which has no text."""


class Choice:
    """One sampled continuation: turns its token events into text events."""

    def __init__(self, index: int, stream: TokenStream, codec: Codec, params: GenerationParams) -> None:
        self.index = index
        self.stream = stream
        self.finished = False
        self._decoder = codec.decoder()
        self._matcher = StopMatcher(params.stop)
        self._silent = params.stop_ids if params.ignore_eos else params.stop_ids | codec.eos_ids
        self._taken = 0
        self._decoded = self._emitted = 0  # characters
        self._held: deque[tuple[int, TokenScore]] = deque()  # where its text begins, token
        self._scores: tuple[TokenScore, ...] | None = None
        self._end: TokenScore | None = None

    async def next(self) -> TextEvent | None:
        """The next piece, from all tokens that have arrived; None: the choice is over, or was cancelled."""
        while not self.finished:
            event = await anext(self.stream, None)
            if event is None:
                break
            made = self._take([event, *self.stream.ready()])
            if made is not None:
                return made
        return None

    def _take(self, events: Sequence[TokenEvent]) -> TextEvent | None:
        text, reason, usage = "", None, None
        for event in events:
            self._scores = event.prompt_scores or self._scores
            reason, usage = event.finish_reason, event.usage
            text += self._text_of(event)
            if self._matcher.matched:
                reason, usage = "stop", replace(self.stream.usage(), completion_tokens=self._taken)
                self.stream.cancel()
            if reason is not None:
                self.finished = True
                break
        if not self.finished and not text and self._scores is None:
            return None
        self._emitted += len(text)
        scores, self._scores = self._scores, None
        return TextEvent(text, self.index, self._released(), reason, usage, scores, self._end)

    def _text_of(self, event: TokenEvent) -> str:
        text = ""
        if event.token is not None:
            self._taken += 1
            score = TokenScore(event.token, event.logprob, event.top)
            if event.finish_reason == "stop" and event.token in self._silent:
                self._end = score
            else:
                piece = self._decoder.push(event.token)
                self._held.append((self._decoded, score))
                self._decoded += len(piece)
                text = self._matcher.push(piece)
        if event.finish_reason is not None and not self._matcher.matched:
            rest = self._decoder.flush()
            self._decoded += len(rest)
            text += self._matcher.push(rest)
            text += self._matcher.flush()
        return text

    def _released(self) -> tuple[TokenScore, ...]:
        """Tokens whose text has begun to come out; at the end, all but those of the stop string."""
        out = []
        whole = self.finished and not self._matcher.matched
        while self._held and (whole or self._held[0][0] < self._emitted):
            out.append(self._held.popleft()[1])
        return tuple(out)


class TextStream:
    """Async iterator over the TextEvents of a request's choices, in the order they come."""

    def __init__(self, choices: Sequence[Choice], prompt_tokens: int) -> None:
        self.prompt_tokens = prompt_tokens
        self._choices = choices

    def cancel(self) -> None:
        """Ends what still runs. A reader that leaves early must call it."""
        for choice in self._choices:
            choice.stream.cancel()

    async def __aiter__(self) -> AsyncIterator[TextEvent]:
        try:
            if len(self._choices) == 1:
                while (event := await self._choices[0].next()) is not None:
                    yield event
            else:
                async for event in self._merged():
                    yield event
        finally:
            self.cancel()

    async def _merged(self) -> AsyncIterator[TextEvent]:
        waiting = {asyncio.ensure_future(choice.next()): choice for choice in self._choices}
        try:
            while waiting:
                done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    choice = waiting.pop(task)
                    event = task.result()
                    if event is not None:
                        yield event
                        waiting[asyncio.ensure_future(choice.next())] = choice
        finally:
            for task in waiting:
                task.cancel()
