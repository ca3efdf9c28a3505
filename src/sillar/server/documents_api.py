"""Questions over documents: ask, open a passage."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse

from sillar.documents import Answer, AnswerOptions, Passage, stream_answer
from sillar.documents.conversation import Turn as PastTurn
from sillar.documents.journal import Entry
from sillar.documents.language import detect_language
from sillar.engine.language_model import LanguageModel
from sillar.server.auth import Client, require_key
from sillar.server.documents_list import Id, Reader, manage
from sillar.server.errors import ApiError
from sillar.server.library import Library
from sillar.server.page_image import draw_page
from sillar.server.rich_text import render
from sillar.server.state import ServerState
from sillar.server.streaming import DONE, EventStream, named_event, while_connected

MAX_QUESTION = 4000
_CONTEXT = 1500
"""Characters shown before and after an opened passage."""
_MAX_SPAN = 20_000
_TICKET_PASSAGE = 4000
"""Characters of a passage that go into a ticket."""

Asker = Annotated[Client, Depends(require_key("ask", "documents"))]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Turn(_Model):
    """A turn of the conversation before the question."""

    role: Literal["user", "assistant"]
    content: Annotated[str, Field(max_length=MAX_QUESTION)]


class AskRequest(_Model):
    """A question over the documents."""

    question: Annotated[str, Field(min_length=1, max_length=MAX_QUESTION)]
    history: Annotated[list[Turn], Field(max_length=20)] = []
    stream: bool = False
    model: Annotated[str | None, Field(max_length=200)] = None


def router(state: ServerState, library: Library) -> APIRouter:
    """The routes over one library."""
    routes = APIRouter(prefix="/v1", tags=["documents"])
    _asking(routes, state, library)
    manage(routes, library)
    _reading(routes, library)
    return routes


def _asking(routes: APIRouter, state: ServerState, library: Library) -> None:
    @routes.post("/ask", response_model=None)
    async def ask(body: AskRequest, request: Request, client: Asker) -> Response:
        """Answers from the documents with citations, or says that they don't say."""
        model = state.answering_model(client.tenant, body.model)
        if not body.stream:
            return JSONResponse(await while_connected(request, _whole(library, model, body, client)))
        events = _events(library, model, body, client)
        return EventStream(events, lambda: None)


async def _whole(library: Library, model: LanguageModel, body: AskRequest, client: Client) -> dict[str, Any]:
    async with aclosing(answered(library, model, body, client)) as events:
        async for event in events:
            if isinstance(event, dict):
                return event
    raise AssertionError("an answer's last event holds the answer")


async def _events(
    library: Library, model: LanguageModel, body: AskRequest, client: Client
) -> AsyncIterator[bytes]:
    async with aclosing(answered(library, model, body, client)) as events:
        async for event in events:
            if isinstance(event, str):
                yield named_event("delta", {"text": event})
            else:
                yield named_event("answer", event)
    yield DONE


async def answered(
    library: Library, model: LanguageModel, body: AskRequest, client: Client
) -> AsyncGenerator[str | dict[str, Any], None]:
    """Pieces of text, then the whole answer as JSON, recorded."""
    access = await library.access(client)
    options = AnswerOptions(tenant=client.tenant)
    history = [PastTurn(turn.role, turn.content) for turn in body.history]
    stream = stream_answer(body.question, library.index, model, options, access, history)
    async with aclosing(stream) as events:
        async for event in events:
            if event.answer is None:
                yield event.text
            else:
                yield _record(library, body, client, event.answer)


def _record(library: Library, body: AskRequest, client: Client, answer: Answer) -> dict[str, Any]:
    result = answer.to_json()
    entry = Entry(
        question=body.question,
        answer=answer.text,
        abstained=answer.abstained,
        seconds=answer.timings.get("total", 0.0),
        language=detect_language(body.question, "en"),
        documents=list(dict.fromkeys(passage.document for passage in answer.passages)),
        citations=result["citations"],
        conversation=[turn.model_dump() for turn in body.history],
        vector=answer.vector,
        passages=[_found(passage) for passage in answer.passages],
    )
    blocks = render(answer.text, {citation.number: citation.quote for citation in answer.citations})
    return {"id": library.journal.record(client.tenant, entry), **result, "blocks": blocks}


def _found(passage: Passage) -> dict[str, Any]:
    """A passage as a ticket carries it."""
    text = passage.text[:_TICKET_PASSAGE]
    return {"document": passage.document, "page": passage.page, "section": passage.section, "text": text}


def _reading(routes: APIRouter, library: Library) -> None:
    @routes.get("/documents/{document}/sections")
    async def sections(client: Reader, document: Id) -> dict[str, Any]:
        """What a document is divided into: headings, and where in its text and on which pages each stands."""
        info, found = await library.sections(client, document)
        rows = [
            {"name": " > ".join(section.headings), "start": section.start, "end": section.end,
             "page": section.page}
            for section in found
        ]  # fmt: skip
        pages = max((section.last_page or 0 for section in found), default=0)
        return {"title": info.title, "path": info.path, "media_type": info.media_type, "pages": pages,
                "data": rows}  # fmt: skip

    @routes.get("/documents/{document}/text")
    async def text(client: Reader, document: Id, start: Id, end: Id) -> dict[str, Any]:
        """A passage with what stands around it."""
        info, whole = await library.text(client, document)
        if not start <= end <= min(len(whole), start + _MAX_SPAN):
            raise ApiError(400, "start and end are not a span of this document.")
        return {
            "before": whole[max(0, start - _CONTEXT) : start],
            "quote": whole[start:end],
            "after": whole[end : end + _CONTEXT],
            "media_type": info.media_type,
        }

    @routes.get("/documents/{document}/pages/{page}.png", response_class=Response)
    async def page(
        client: Reader, document: Id, page: Annotated[int, Field(ge=1, le=100_000)], quote: str = ""
    ) -> Response:
        """A PDF's page as a picture, the quoted passage marked."""
        info = await library.document(client, document)
        if info.media_type != "application/pdf":
            raise ApiError(400, "Only PDF documents have pages.")
        image = await draw_page(library.path_of(info), page, quote[:_MAX_SPAN])
        headers = {"Cache-Control": "private, max-age=300"}
        if image.top is not None:
            headers |= {"Sillar-Mark-Top": str(image.top), "Sillar-Mark-Left": str(image.left)}
        return Response(image.png, media_type="image/png", headers=headers)
