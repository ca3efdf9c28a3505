"""POST /v1/chat/completions."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from sillar.engine.grammar import Grammar
from sillar.engine.language_model import LanguageModel
from sillar.engine.request import TokenScore
from sillar.engine.text_stream import TextEvent, TextStream
from sillar.server import documents_model
from sillar.server.answer import UsageSum, chat_logprobs, envelope, timed
from sillar.server.auth import Client, check_scope, client_of
from sillar.server.chat_types import ChatRequest, ResponseFormat
from sillar.server.errors import ApiError
from sillar.server.params import check_scores, generation_params
from sillar.server.state import DOCUMENTS, ServerState
from sillar.server.streaming import DONE, EventStream, sse, while_connected
from sillar.server.tools import ToolUse


def router(state: ServerState) -> APIRouter:
    """The route over the state's language models."""
    routes = APIRouter(tags=["generation"])

    @routes.post("/v1/chat/completions", response_model=None)
    async def chat_completions(
        body: ChatRequest, request: Request, client: Annotated[Client, Depends(client_of)]
    ) -> Response:
        """Answers a conversation, whole or as a stream of chunks."""
        if body.model == DOCUMENTS and state.library is not None:
            check_scope(client, "documents")
            return await documents_model.respond(state, body, request, client)
        check_scope(client, "generate")
        answer = ChatAnswer(state, state.language_model(body.model), body, time.perf_counter())
        stream = await while_connected(request, answer.open(client))
        if body.stream:
            return EventStream(answer.chunks(stream), stream.cancel)
        return JSONResponse(await while_connected(request, answer.whole(stream)))

    return routes


@dataclass(frozen=True, slots=True)
class Delta:
    """What is new in one choice. `delta` is chat's: content, tool_calls or nothing."""

    index: int
    delta: dict[str, Any]
    reason: str | None
    tokens: Sequence[TokenScore]


class ChatAnswer:
    """One request's answer, in either form."""

    def __init__(self, state: ServerState, model: LanguageModel, body: ChatRequest, arrived: float) -> None:
        self._state = state
        self._model = model
        self._body = body
        self._arrived = arrived
        self.usage = UsageSum()
        self._count = body.n or 1
        self._top = body.top_logprobs or 0
        if self._top and not body.logprobs:
            raise ApiError(400, "top_logprobs needs logprobs: true", param="top_logprobs")
        self._tools = ToolUse(body, model.codec.template_source)
        self._finders = [self._tools.finder() for _ in range(self._count)] if self._tools.tools else None
        self._grammar = response_grammar(body.response_format)
        if self._grammar and self._tools.tools:
            raise ApiError(400, "response_format and tools exclude each other", param="response_format")

    async def open(self, client: Client) -> TextStream:
        """Queues the request; what is wrong with it is raised here."""
        body = self._body
        most = body.max_completion_tokens if body.max_tokens is None else body.max_tokens
        defaults = self._state.options.config.sampling
        params = generation_params(
            body,
            defaults,
            client,
            vocab_size=self._model.codec.vocab_size,
            max_tokens=defaults.max_tokens if most is None else most,
            logprobs=max(1, self._top) if body.logprobs else 0,
        )
        grammar = self._grammar or self._tools.grammar
        messages = self._tools.messages([message.plain() for message in body.messages])
        tools = self._tools.for_template
        stream = await self._model.open_chat(messages, params, tools=tools, grammar=grammar, n=self._count)
        check_scores((stream,), params, self._count, self._model.context_length)
        return stream

    async def whole(self, stream: TextStream) -> dict[str, Any]:
        """The answer in one piece."""
        deltas: list[list[dict[str, Any]]] = [[] for _ in range(self._count)]
        scores: list[list[TokenScore]] = [[] for _ in range(self._count)]
        reasons: list[str | None] = [None] * self._count
        try:
            async for step in self.deltas(stream):
                reasons[step.index] = step.reason
                deltas[step.index].append(step.delta)
                scores[step.index].extend(step.tokens)
        finally:
            stream.cancel()
        choices = [
            {
                "index": i,
                "message": _message(deltas[i]),
                "logprobs": self.logprobs(scores[i]),
                "finish_reason": reasons[i],
            }
            for i in range(self._count)
        ]
        head = envelope("chatcmpl", "chat.completion", self._model.name)
        return {**head, "choices": choices, "usage": self.usage.payload()}

    async def chunks(self, stream: TextStream) -> AsyncIterator[bytes]:
        """The answer as events."""
        head = envelope("chatcmpl", "chat.completion.chunk", self._model.name)
        options = self._body.stream_options
        wants_usage = options is not None and bool(options.include_usage)
        if wants_usage:
            head["usage"] = None
        for i in range(self._count):
            yield sse({**head, "choices": [_choice(i, {"role": "assistant", "content": ""}, None, None)]})
        async for step in self.deltas(stream):
            logprobs = self.logprobs(step.tokens) if step.tokens else None
            if step.delta or logprobs or step.reason:
                yield sse({**head, "choices": [_choice(step.index, step.delta, logprobs, step.reason)]})
        if wants_usage:
            yield sse({**head, "choices": [], "usage": self.usage.payload()})
        yield DONE

    async def deltas(self, stream: TextStream) -> AsyncIterator[Delta]:
        """What each event adds to its choice's message."""
        async for event in timed(stream, self._state, self._model.name, self._arrived):
            delta, reason = self._delta(event)
            yield Delta(event.index, delta, reason, event.tokens)

    def _delta(self, event: TextEvent) -> tuple[dict[str, Any], str | None]:
        """What an event adds to the message, and the reason when it is the last."""
        text, reason = event.text, event.finish_reason
        calls: list[dict[str, Any]] = []
        called = False
        if self._finders is not None:
            finder = self._finders[event.index]
            text, calls = finder.push(text)
            if reason is not None:
                rest, last = finder.finish()
                text, calls = text + rest, calls + last
            called = finder.found
        if event.usage is not None:
            self.usage.add(event.usage, first=event.index == 0)
        delta: dict[str, Any] = {"content": text} if text else {}
        if calls:
            delta["tool_calls"] = calls
        return delta, "tool_calls" if called and reason == "stop" else reason

    def logprobs(self, tokens: Sequence[TokenScore]) -> dict[str, Any] | None:
        """Of these tokens, in chat's shape, where they were asked for."""
        return chat_logprobs(self._model.codec, tokens, self._top) if self._body.logprobs else None


def response_grammar(form: ResponseFormat | None) -> Grammar | None:
    """What a response format asks of the output. Raises ApiError for one that is not whole."""
    if form is None or form.type == "text":
        return None
    if form.type == "json_object":
        return Grammar.json_schema({"type": "object"})
    if form.type == "regex":
        if not form.pattern:
            raise ApiError(400, "type 'regex' needs a pattern", param="response_format")
        return Grammar("regex", form.pattern)
    schema = (form.json_schema or {}).get("schema")
    if not isinstance(schema, dict):
        raise ApiError(400, "json_schema needs a schema", param="response_format")
    return Grammar.json_schema(schema)


def _message(deltas: list[dict[str, Any]]) -> dict[str, Any]:
    text = "".join(delta.get("content", "") for delta in deltas)
    calls: list[dict[str, Any]] = []
    for part in (part for delta in deltas for part in delta.get("tool_calls", ())):
        if part["index"] == len(calls):
            calls.append({key: value for key, value in part.items() if key != "index"})
        else:
            calls[part["index"]]["function"]["arguments"] += part["function"]["arguments"]
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
    if calls:
        message["content"] = text.strip() or None
        message["tool_calls"] = calls
    return message


def _choice(
    index: int, delta: dict[str, Any], logprobs: dict[str, Any] | None, reason: str | None
) -> dict[str, Any]:
    return {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": reason}
