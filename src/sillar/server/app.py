"""Puts the application together: routes, the gate before them, errors, metrics."""

from __future__ import annotations

import time
from collections.abc import Iterable

from fastapi import APIRouter, FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sillar import __version__
from sillar.server import (
    chat,
    completions,
    embeddings,
    errors,
    keys_api,
    machine_api,
    rerank,
    responses,
    service,
    tokenization,
)
from sillar.server.gate import Gate
from sillar.server.state import ServerState


def create_app(
    state: ServerState,
    routers: Iterable[APIRouter] = (),
    *,
    public: Iterable[str] = (),
) -> FastAPI:
    """The ASGI application over a state whose models are loaded.

    `routers` are added to our own. Every path needs a key, except /health and the `public` ones (read
    only; "/assets/*" is a prefix).
    """

    app = FastAPI(title="Sillar", version=__version__, docs_url=None, redoc_url=None)
    state.created = int(time.time())
    state.metrics.watch(lambda: {name: model.engine for name, model in state.language_models.items()})
    for router in (
        service.router(state),
        chat.router(state),
        responses.router(state),
        completions.router(state),
        embeddings.router(state),
        rerank.router(state),
        tokenization.router(state),
        keys_api.router(state),
        machine_api.router(state),
        *routers,
    ):
        app.include_router(router)
    errors.install(app)
    app.add_middleware(Gate, state=state, public=tuple(public))
    app.add_middleware(_Observed, state=state)
    state.ready = True
    return app


class _Observed:
    """Counts requests by route and status, and how long they took."""

    def __init__(self, app: ASGIApp, state: ServerState) -> None:
        self._app = app
        self._metrics = state.metrics
        self._tracing = state.tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500
        begin = time.perf_counter()

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            with self._tracing.request(scope) as note:
                try:
                    await self._app(scope, receive, noting)
                finally:
                    note["status"] = status
        finally:
            # The route's pattern, not the path: what clients make up must not become labels.
            route = getattr(scope.get("route"), "path", "other")
            self._metrics.requests.labels(route, str(status)).inc()
            self._metrics.duration.labels(route).observe(time.perf_counter() - begin)
