"""POST /v1/rerank: documents by how well they answer a query, in Cohere's and Jina's shape."""

from __future__ import annotations

import math
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse

from sillar.server.auth import Client, require_key
from sillar.server.errors import ApiError
from sillar.server.state import ServerState
from sillar.server.streaming import while_connected
from sillar.server.types import ApiModel

_MAX_DOCUMENTS = 1000
_MAX_QUERY = 10_000
_MAX_TEXT = 100_000

DocumentText = Annotated[str, Field(max_length=_MAX_TEXT)]


class RerankDocument(BaseModel):
    """A document as an object."""

    model_config = ConfigDict(extra="forbid")

    text: DocumentText


class RerankRequest(ApiModel):
    """A query and the documents to put in order."""

    model: Annotated[str | None, Field(max_length=200)] = None
    query: Annotated[str, Field(min_length=1, max_length=_MAX_QUERY)]
    documents: Annotated[
        list[DocumentText | RerankDocument],
        Field(
            max_length=_MAX_DOCUMENTS, description="Cut where query and document exceed the model's context."
        ),
    ]
    top_n: Annotated[int | None, Field(ge=1, le=_MAX_DOCUMENTS, description="All where not said.")] = None
    return_documents: bool | None = None


def router(state: ServerState) -> APIRouter:
    """The route over the state's rerankers."""
    routes = APIRouter(tags=["rerank"])

    @routes.post("/v1/rerank", response_model=None)
    async def rerank(
        body: RerankRequest, request: Request, _: Annotated[Client, Depends(require_key("embed"))]
    ) -> JSONResponse:
        """The best documents first; relevance_score is between 0 and 1."""
        reranker = state.reranker(body.model)
        texts = [item if isinstance(item, str) else item.text for item in body.documents]
        if not texts:
            raise ApiError(400, "there is no document", param="documents")
        work = reranker.score_counted(body.query, texts)
        scores, tokens = await while_connected(request, work)
        order = sorted(range(len(texts)), key=lambda i: (-float(scores[i]), i))
        results = [_result(i, float(scores[i]), texts[i], body.return_documents) for i in order[: body.top_n]]
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return JSONResponse({"object": "list", "results": results, "model": reranker.name, "usage": usage})

    return routes


def _result(index: int, score: float, text: str, with_text: bool | None) -> dict[str, Any]:
    result: dict[str, Any] = {"index": index, "relevance_score": 0.5 + 0.5 * math.tanh(score / 2)}
    if with_text:
        result["document"] = {"text": text}
    return result
