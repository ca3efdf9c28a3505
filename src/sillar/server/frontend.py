"""Puts together what people use in a browser: the page, the routes behind it, and tickets on their way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import APIRouter

from sillar.documents.tickets import Tickets
from sillar.server import documents_api, journal_api, page
from sillar.server.handoff import open_handoff
from sillar.server.library import Library
from sillar.server.state import ServerState


@dataclass(frozen=True, slots=True)
class Frontend:
    """What `create_app` takes: routes, and the paths that need no key."""

    routers: list[APIRouter]
    public: tuple[str, ...]


@asynccontextmanager
async def open_frontend(state: ServerState, library: Library | None) -> AsyncIterator[Frontend]:
    """For as long as the server runs. Raises ConfigError for settings that must not be used."""
    if library is None:
        yield Frontend([page.router()], page.PUBLIC)
        return
    async with open_handoff(state.options.config.handoff, Tickets(library.journal)) as handoff:
        routers = [
            page.router(),
            documents_api.router(state, library),
            journal_api.router(library, handoff),
        ]
        yield Frontend(routers, page.PUBLIC)
