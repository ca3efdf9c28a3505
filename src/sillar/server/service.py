"""GET /health, /ready, /metrics and /v1/models: what there is and how it is doing."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from sillar.server.auth import Client, client_of, require_key
from sillar.server.errors import ApiError
from sillar.server.state import DOCUMENTS, ServerState


def router(state: ServerState) -> APIRouter:
    """The routes about the server itself."""
    routes = APIRouter(tags=["service"])

    @routes.get("/health")
    async def health() -> dict[str, str]:
        """The process answers. Needs no key."""
        return {"status": "ok"}

    @routes.get("/ready")
    async def ready() -> dict[str, Any]:
        """Models are loaded and the server is not shutting down; what its operator should see to."""
        if state.draining or not state.ready:
            raise ApiError(503, "shutting down" if state.draining else "still loading")
        problems = [state.key_file.problem] if state.key_file and state.key_file.problem else []
        return {"status": "ready", "models": state.model_names, "problems": problems}

    @routes.get("/metrics", response_class=Response)
    async def metrics(_: Annotated[Client, Depends(require_key("metrics"))]) -> Response:
        """Prometheus' text format."""
        return Response(state.metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @routes.get("/v1/models")
    async def models(request: Request) -> dict[str, Any]:
        """The loaded models."""
        tenant = client_of(request).tenant
        return {"object": "list", "data": [_card(state, name, tenant) for name in state.model_names]}

    @routes.get("/v1/models/{name:path}")
    async def model(name: str, request: Request) -> dict[str, Any]:
        """One model."""
        if name not in state.model_names:
            raise ApiError(404, f"There is no model '{name[:100]}' here.", code="model_not_found")
        return _card(state, name, client_of(request).tenant)

    return routes


def _card(state: ServerState, name: str, tenant: str) -> dict[str, Any]:
    card: dict[str, Any] = {"id": name, "object": "model", "created": state.created, "owned_by": "sillar"}
    if name == DOCUMENTS and state.library is not None:
        card["context_length"] = state.answering_model(tenant).context_length
    elif name in state.language_models:
        card["context_length"] = state.language_models[name].context_length
    elif name in state.rerankers:
        card["context_length"] = state.rerankers[name].max_tokens
    else:
        embedder = state.embedders[name]
        card |= {"dimensions": embedder.dim, "context_length": embedder.max_tokens}
    return card
