"""What runs here: loaded models with memory and speed, what the cache holds beside them, and which model
answers a tenant from the documents.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from sillar.engine.memory import available_memory
from sillar.engine.native import memory_need
from sillar.errors import SillarError
from sillar.hub import LocalModel, local_models
from sillar.server.auth import Client, require_key
from sillar.server.state import ServerState


class Answering(BaseModel):
    """Which model answers from the documents."""

    model_config = ConfigDict(extra="forbid")
    model: Annotated[str, Field(min_length=1, max_length=200)]


def router(state: ServerState) -> APIRouter:
    """The routes over the models of one server."""
    routes = APIRouter(prefix="/v1", tags=["service"])

    @routes.get("/machine")
    async def machine(client: Annotated[Client, Depends(require_key("metrics"))]) -> dict[str, Any]:
        """Loaded models with memory and speed seen, free memory, and other models in this machine's cache."""
        answering = state.answering_model(client.tenant).name if state.language_models else None
        loaded = {**state.language_models, **state.embedders, **state.rerankers}
        free = available_memory()
        return {
            "models": [_loaded(state, name) for name in loaded],
            "answering": answering,
            "free_bytes": free,
            "cached": await asyncio.to_thread(_cached, frozenset(loaded), free),
        }

    @routes.put("/answering")
    async def answer_with(
        body: Answering, client: Annotated[Client, Depends(require_key("admin"))]
    ) -> dict[str, Any]:
        """Says which of the loaded models answers this key's tenant from the documents, until a restart."""
        model = state.language_model(body.model)
        state.answering[client.tenant] = body.model
        return {"model": model.name}

    return routes


def _loaded(state: ServerState, name: str) -> dict[str, Any]:
    row: dict[str, Any] = {"id": name, "memory_bytes": state.memory_bytes.get(name)}
    if name in state.language_models:
        engine = state.language_models[name].engine
        prompt, stream = engine.speeds()
        gauges = engine.gauges()
        return row | {
            "use": "text",
            "context_length": state.language_models[name].context_length,
            "prompt_tokens_per_second": prompt,
            "tokens_per_second": stream,
            "running": gauges["running"],
            "waiting": gauges["waiting"],
            "kv_used": gauges["kv_used"] / max(1, gauges["kv_blocks"]),
        }
    if name in state.embedders:
        return row | {"use": "search", "context_length": state.embedders[name].max_tokens}
    return row | {"use": "rerank", "context_length": state.rerankers[name].max_tokens}


def _cached(loaded: frozenset[str], free: int) -> list[dict[str, Any]]:
    """Models that could be loaded at the next start; one whose file cannot be read says nothing of memory."""
    return [_fits(model, free) for model in local_models() if model.name not in loaded]


def _fits(model: LocalModel, free: int) -> dict[str, Any]:
    row: dict[str, Any] = {"id": model.name, "file_bytes": model.size}
    try:
        need = memory_need(model.path, model.name)
    except SillarError:
        return row | {"use": None, "least_bytes": None, "fits": False}
    use = "text" if need.block_bytes else "search"
    return row | {"use": use, "least_bytes": need.least_bytes, "fits": need.least_bytes <= free}
