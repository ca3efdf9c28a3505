"""POST /v1/embeddings."""

from __future__ import annotations

import base64
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request
from pydantic import Field
from starlette.responses import JSONResponse

from sillar.server.auth import Client, require_key
from sillar.server.errors import ApiError
from sillar.server.state import ServerState
from sillar.server.streaming import while_connected
from sillar.server.types import ApiModel

_MAX_TEXT = 100_000

EmbeddedText = Annotated[str, Field(max_length=_MAX_TEXT)]


class EmbeddingRequest(ApiModel):
    """OpenAI's embedding request; texts only, since other tokenizers' tokens mean nothing here."""

    model: Annotated[str | None, Field(max_length=200)] = None
    input: Annotated[EmbeddedText | list[EmbeddedText], Field(max_length=2048)]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int | None, Field(ge=1, le=65536, description="Only the model's own.")] = None
    input_type: Annotated[
        Literal["query", "passage"] | None,
        Field(description="Ours: which prefix the model puts before the text; 'query' where not said."),
    ] = None


def router(state: ServerState) -> APIRouter:
    """The route over the state's embedders."""
    routes = APIRouter(tags=["embeddings"])

    @routes.post("/v1/embeddings", response_model=None)
    async def embeddings(
        body: EmbeddingRequest, request: Request, _: Annotated[Client, Depends(require_key("embed"))]
    ) -> JSONResponse:
        """Vectors of unit length, one a text."""
        embedder = state.embedder(body.model)
        if body.dimensions not in {None, embedder.dim}:
            raise ApiError(400, f"{embedder.name} has {embedder.dim} dimensions", param="dimensions")
        texts = [body.input] if isinstance(body.input, str) else body.input
        if not texts:
            raise ApiError(400, "there is no text", param="input")
        work = embedder.embed_counted(texts, body.input_type or "query")
        vectors, tokens = await while_connected(request, work)
        data = [
            {"object": "embedding", "index": i, "embedding": _encoded(vector, body.encoding_format)}
            for i, vector in enumerate(vectors)
        ]
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return JSONResponse({"object": "list", "data": data, "model": embedder.name, "usage": usage})

    return routes


def _encoded(vector: Any, form: str | None) -> str | list[float]:
    if form == "base64":
        return base64.b64encode(vector.astype("<f4").tobytes()).decode()
    numbers: list[float] = vector.tolist()
    return numbers
