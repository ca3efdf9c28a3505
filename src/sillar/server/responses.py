"""/v1/responses: OpenAI's newer API over the same models, with conversations that go on."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import JSONResponse, Response

from sillar.server import documents_model
from sillar.server.auth import Client, check_scope, client_of
from sillar.server.chat import ChatAnswer
from sillar.server.errors import describe
from sillar.server.responses_events import Event, GrowingResponse
from sillar.server.responses_store import ResponseStore
from sillar.server.responses_types import ResponsesRequest
from sillar.server.state import DOCUMENTS, ServerState
from sillar.server.streaming import EventStream, named_event, while_connected

Asker = Annotated[Client, Depends(client_of)]


def _reader(client: Asker) -> Client:
    """A client that may make responses may read its tenant's. Raises ApiError 403 for others."""
    return client if "documents" in client.scopes else check_scope(client, "generate")


Reader = Annotated[Client, Depends(_reader)]


def router(state: ServerState) -> APIRouter:
    """The routes over the state's language models and, where there is a folder, its documents."""
    routes = APIRouter(tags=["generation"])
    store = ResponseStore()

    @routes.post("/v1/responses", response_model=None)
    async def responses(body: ResponsesRequest, request: Request, client: Asker) -> Response:
        """Answers an input, whole or as events; `previous_response_id` goes on from a kept response."""
        turn = _Turn(state, store, body, client)
        await while_connected(request, turn.open())
        if body.stream:
            return EventStream(turn.stream(), turn.cancel)
        return JSONResponse(await while_connected(request, turn.whole()))

    @routes.get("/v1/responses/{response}")
    async def kept(response: str, client: Reader) -> dict[str, Any]:
        """A kept response, for an hour at most."""
        return store.find(client.tenant, response).payload

    @routes.delete("/v1/responses/{response}")
    async def forget(response: str, client: Reader) -> dict[str, Any]:
        """Forgets a kept response."""
        store.remove(client.tenant, response)
        return {"id": response, "object": "response", "deleted": True}

    @routes.get("/v1/responses/{response}/input_items")
    async def input_items(
        response: str, client: Reader, limit: Annotated[int, Query(ge=1, le=100)] = 20
    ) -> dict[str, Any]:
        """The input of a kept response, the newest item first."""
        items = store.find(client.tenant, response).input[::-1]
        page = items[:limit]
        ends = {"first_id": page[0]["id"], "last_id": page[-1]["id"]} if page else {}
        return {"object": "list", "data": page, "has_more": len(items) > limit, **ends}

    return routes


class _Turn:
    """One request: what it goes on from, its answer, and whether that is kept."""

    def __init__(
        self, state: ServerState, store: ResponseStore, body: ResponsesRequest, client: Client
    ) -> None:
        self._state = state
        self._store = store
        self._body = body
        self._client = client
        self._documents = body.model == DOCUMENTS and state.library is not None
        check_scope(client, "documents" if self._documents else "generate")
        before = []
        if body.previous_response_id is not None:
            kept = store.find(client.tenant, body.previous_response_id, "previous_response_id")
            before = kept.messages
        self._chat = body.chat(before)
        self._said = [*before, *body.turns()]
        self._growing = GrowingResponse(body, self._name(), body.store is not False)
        self._events: AsyncIterator[Event] | None = None
        self.cancel: Callable[[], None] = lambda: None

    def _name(self) -> str:
        return DOCUMENTS if self._documents else self._state.language_model(self._body.model).name

    async def open(self) -> None:
        """Queues the request; what is wrong with it is raised here."""
        if self._documents:
            answer = documents_model.events(self._state, self._chat, self._client)
            self._events = self._from_documents(answer)
            return
        model = self._state.language_model(self._body.model)
        chat = ChatAnswer(self._state, model, self._chat, time.perf_counter())
        stream = await chat.open(self._client)
        self.cancel = stream.cancel
        self._events = self._from_model(chat, stream)

    async def whole(self) -> dict[str, Any]:
        """The response in one piece."""
        assert self._events is not None
        try:
            async for _ in self._events:
                pass
        finally:
            self.cancel()
        return self._growing.payload

    async def stream(self) -> AsyncIterator[bytes]:
        """The response as events; an error is the last of them."""
        assert self._events is not None
        try:
            async for event in self._events:
                yield named_event(event["type"], event)
        except Exception as error:
            _, body, _ = describe(error)
            event = self._growing.fail(body["error"]["message"])
            yield named_event(event["type"], event)

    async def _from_model(self, chat: ChatAnswer, stream: Any) -> AsyncIterator[Event]:
        growing = self._growing
        for event in growing.begin():
            yield event
        reason = None
        async for step in chat.deltas(stream):
            reason = step.reason or reason
            logprobs = chat.logprobs(step.tokens)
            for event in growing.add(step.delta, logprobs["content"] if logprobs else []):
                yield event
        for event in growing.end(reason, chat.usage.payload()):
            yield self._kept(event)

    async def _from_documents(self, answer: AsyncIterator[str | dict[str, Any]]) -> AsyncIterator[Event]:
        growing = self._growing
        for event in growing.begin():
            yield event
        async for piece in answer:
            if isinstance(piece, str):
                for event in growing.add({"content": piece}, []):
                    yield event
                continue
            growing.payload["abstained"] = piece["abstained"]
            growing.payload["answer_id"] = piece["id"]
            for event in growing.cite(documents_model.url_annotations(piece), piece["citations"]):
                yield event
            for event in growing.end("stop", documents_model.usage(piece)):
                yield self._kept(event)

    def _kept(self, event: Event) -> Event:
        """Keeps the response with its last event."""
        payload = self._growing.payload
        if "response" in event and payload["store"]:
            items = self._body.input_items(payload["id"])
            messages = [*self._said, self._growing.message()]
            self._store.keep(self._client.tenant, payload, items, messages)
        return event
