"""What became of the answers: votes, hand-off to a person, insights, and exports of both."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import PlainTextResponse

from sillar import __version__
from sillar.server.auth import Client, require_key
from sillar.server.handoff import HandOff
from sillar.server.library import Library

Reader = Annotated[Client, Depends(require_key("documents"))]
Asker = Annotated[Client, Depends(require_key("ask", "documents"))]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Feedback(_Model):
    """Whether an answer helped."""

    vote: Literal[-1, 0, 1]
    comment: Annotated[str, Field(max_length=2000)] = ""


class HandOffRequest(_Model):
    """What a person needs to go on with a question."""

    contact: Annotated[str, Field(max_length=200)] = ""
    note: Annotated[str, Field(max_length=2000)] = ""


def router(library: Library, handoff: HandOff) -> APIRouter:
    """The routes over one library's journal."""
    routes = APIRouter(prefix="/v1", tags=["documents"])
    _judging(routes, library, handoff)
    _reporting(routes, library, handoff)
    return routes


def _judging(routes: APIRouter, library: Library, handoff: HandOff) -> None:
    @routes.post("/answers/{answer}/feedback", status_code=200)
    def feedback(client: Asker, answer: str, body: Feedback) -> dict[str, Any]:
        """Votes on an answer."""
        library.journal.vote(client.tenant, answer, body.vote, body.comment)
        return {"vote": body.vote}

    @routes.post("/answers/{answer}/handoff", status_code=201)
    async def hand_off(client: Asker, answer: str, body: HandOffRequest) -> dict[str, Any]:
        """Makes a ticket of an answer, with its conversation and passages."""
        return await handoff.submit(client.tenant, answer, body.contact, body.note)

    @routes.post("/tickets/{ticket}/retry", status_code=202)
    async def retry(client: Reader, ticket: Annotated[int, Field(ge=0, lt=2**63)]) -> dict[str, Any]:
        """Sends a ticket again that could not be delivered."""
        await handoff.retry(client.tenant, ticket)
        return {"id": ticket}


def _reporting(routes: APIRouter, library: Library, handoff: HandOff) -> None:
    @routes.get("/suggestions")
    async def suggestions(client: Reader) -> dict[str, Any]:
        """Questions that were answered well before, and how many documents there are to ask."""
        found = await library.documents(client)
        ready = sum(info.failed is None for info in found)
        return {"data": library.journal.suggestions(client.tenant), "documents": ready}

    @routes.get("/me")
    async def me(client: Reader) -> dict[str, Any]:
        """Whose key this is and what it may do."""
        return {"name": client.name, "scopes": sorted(client.scopes), "version": __version__}

    @routes.get("/insights")
    async def insights(client: Reader, days: Annotated[int, Field(ge=1, le=366)] = 30) -> dict[str, Any]:
        """Questions, answers, votes, times and gaps of the last days."""
        usual = await library.usual_questions()
        return asdict(
            await asyncio.to_thread(library.journal.insights, client.tenant, days=days, usual=usual)
        )

    @routes.get("/tickets")
    def tickets(client: Reader) -> dict[str, Any]:
        """The latest tickets, and whether each has been delivered."""
        return {"data": handoff.tickets.latest(client.tenant)}

    @routes.get("/tickets.csv", response_class=PlainTextResponse)
    def tickets_csv(client: Reader) -> PlainTextResponse:
        """All tickets as CSV."""
        return PlainTextResponse(handoff.tickets.csv(client.tenant), media_type="text/csv; charset=utf-8")

    @routes.get("/feedback.json")
    def export(client: Reader) -> list[dict[str, Any]]:
        """Voted answers with their comments and citations."""
        return library.journal.feedback(client.tenant)

    @routes.get("/evaluation.json")
    def question_set(
        client: Reader, language: Annotated[str, Query(pattern="^[a-z]{2,3}$")] = "en"
    ) -> dict[str, Any]:
        """Helpful answers as a question set that `python -m evaluations.retrieval` reads."""
        return library.journal.question_set(client.tenant, language)
