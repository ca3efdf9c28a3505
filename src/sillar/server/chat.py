"""POST /v1/chat/completions."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from sillar.engine.language_model import LanguageModel
from sillar.engine.text_stream import TextEvent, TextStream
from sillar.server.answer import UsageSum, chat_logprobs, envelope, timed
from sillar.server.auth import Client, require_key
from sillar.server.chat_types import ChatRequest
from sillar.server.errors import ApiError
from sillar.server.params import generation_params
from sillar.server.state import ServerState
from sillar.server.streaming import DONE, EventStream, sse, while_connected


def router(state: ServerState) -> APIRouter:
    """The route over the state's language models."""
    routes = APIRouter(tags=["generation"])

    @routes.post("/v1/chat/completions", response_model=None)
    async def chat_completions(
        body: ChatRequest, request: Request, client: Annotated[Client, Depends(require_key("generate"))]
    ) -> Response:
        """Answers a conversation, whole or as a stream of chunks."""
        arrived = time.perf_counter()
        model = state.language_model(body.model)
        answer = _Answer(state, model, body, arrived)
        stream = await while_connected(request, answer.open(client))
        if body.stream:
            return EventStream(answer.chunks(stream), stream.cancel)
        return JSONResponse(await while_connected(request, answer.whole(stream)))

    return routes


class _Answer:
    """One request's answer, in either form."""

    def __init__(self, state: ServerState, model: LanguageModel, body: ChatRequest, arrived: float) -> None:
        self._state = state
        self._model = model
        self._body = body
        self._arrived = arrived
        self._usage = UsageSum()
        self._top = body.top_logprobs or 0
        if self._top and not body.logprobs:
            raise ApiError(400, "top_logprobs needs logprobs: true", param="top_logprobs")

    async def open(self, client: Client) -> TextStream:
        """Queues the request; what is wrong with it is raised here."""
        body = self._body
        most = body.max_completion_tokens or body.max_tokens
        defaults = self._state.options.config.sampling
        params = generation_params(
            body,
            defaults,
            client,
            vocab_size=self._model.codec.vocab_size,
            max_tokens=defaults.max_tokens if most is None else most,
            logprobs=max(1, self._top) if body.logprobs else 0,
        )
        messages = [message.plain() for message in body.messages]
        return await self._model.open_chat(messages, params, n=body.n or 1)

    async def whole(self, stream: TextStream) -> dict[str, Any]:
        """The answer in one piece."""
        count = self._body.n or 1
        texts = [""] * count
        scores: list[list[Any]] = [[] for _ in range(count)]
        reasons: list[str | None] = [None] * count
        try:
            async for event in timed(stream, self._state.metrics, self._model.name, self._arrived):
                texts[event.index] += event.text
                scores[event.index].extend(event.tokens)
                self._note(event)
                reasons[event.index] = event.finish_reason or reasons[event.index]
        finally:
            stream.cancel()
        choices = [
            {
                "index": i,
                "message": {"role": "assistant", "content": texts[i], "refusal": None},
                "logprobs": self._logprobs(scores[i]),
                "finish_reason": reasons[i],
            }
            for i in range(count)
        ]
        head = envelope("chatcmpl", "chat.completion", self._model.name)
        return {**head, "choices": choices, "usage": self._usage.payload()}

    async def chunks(self, stream: TextStream) -> AsyncIterator[bytes]:
        """The answer as events."""
        head = envelope("chatcmpl", "chat.completion.chunk", self._model.name)
        options = self._body.stream_options
        wants_usage = options is not None and bool(options.include_usage)
        if wants_usage:
            head["usage"] = None
        for i in range(self._body.n or 1):
            yield sse(_chunk(head, i, {"role": "assistant", "content": "", "refusal": None}))
        async for event in timed(stream, self._state.metrics, self._model.name, self._arrived):
            self._note(event)
            delta = {"content": event.text} if event.text or not event.finish_reason else {}
            logprobs = self._logprobs(event.tokens) if event.tokens else None
            yield sse(_chunk(head, event.index, delta, logprobs, event.finish_reason))
        if wants_usage:
            yield sse({**head, "choices": [], "usage": self._usage.payload()})
        yield DONE

    def _note(self, event: TextEvent) -> None:
        if event.usage is not None:
            self._usage.add(event.usage, first=event.index == 0)

    def _logprobs(self, tokens: Any) -> dict[str, Any] | None:
        return chat_logprobs(self._model.codec, tokens, self._top) if self._body.logprobs else None


def _chunk(
    head: dict[str, Any],
    index: int,
    delta: dict[str, Any],
    logprobs: dict[str, Any] | None = None,
    reason: str | None = None,
) -> dict[str, Any]:
    choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": reason}
    return {**head, "choices": [choice]}
