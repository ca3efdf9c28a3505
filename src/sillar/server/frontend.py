"""Puts together what people use in a browser: the page, the routes behind it, and tickets on their way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import APIRouter

from sillar.documents.tickets import Tickets
from sillar.server import documents_api, journal_api, oidc, page
from sillar.server.handoff import open_handoff
from sillar.server.library import Library
from sillar.server.sessions import Sessions
from sillar.server.state import ServerState


@dataclass(frozen=True, slots=True)
class Frontend:
    """What `create_app` takes: routes, and the paths that need no key."""

    routers: list[APIRouter]
    public: tuple[str, ...]


@asynccontextmanager
async def open_frontend(state: ServerState, library: Library | None) -> AsyncIterator[Frontend]:
    """For as long as the server runs. Raises ConfigError for settings that must not be used."""
    routers: list[APIRouter] = [page.router()]
    public: tuple[str, ...] = page.PUBLIC
    settings = state.options.config.oidc
    if settings.issuer:
        state.sessions = Sessions(settings.site)
        routers.append(oidc.router(oidc.Provider(settings), settings, state.sessions))
        public += oidc.PUBLIC
    else:
        routers.append(page.without_login())
        public += (page.SESSION,)
    if library is None:
        yield Frontend(routers, public)
        return
    async with open_handoff(state.options.config.handoff, Tickets(library.journal)) as handoff:
        routers += [documents_api.router(state, library), journal_api.router(library, handoff)]
        yield Frontend(routers, public)
