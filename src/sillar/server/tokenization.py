"""POST /tokenize and /detokenize, GET /tokenizer_info: a model's tokens, in vLLM's shape.

Evaluation harnesses ask here instead of loading a tokenizer of their own (lm-eval finds it by itself).
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import Field

from sillar.engine.codec import Codec
from sillar.server.answer import token_text
from sillar.server.auth import Client, require_key
from sillar.server.chat_types import ChatMessage
from sillar.server.errors import ApiError
from sillar.server.state import ServerState
from sillar.server.types import MAX_TOKENS, ApiModel, TokenId

_MAX_TEXT = 500_000
_Key = Annotated[Client, Depends(require_key("generate"))]


class TokenizeRequest(ApiModel):
    """A text, or a conversation as the model would see it."""

    model: Annotated[str | None, Field(max_length=200)] = None
    prompt: Annotated[
        str | None,
        Field(
            max_length=_MAX_TEXT, description="Plain text, unless it is nothing but one control token's name."
        ),
    ] = None
    messages: Annotated[list[ChatMessage] | None, Field(min_length=1, max_length=4096)] = None
    add_special_tokens: Annotated[
        bool | None, Field(description="The begin token, where the model has one; on if not said.")
    ] = None
    return_token_strs: bool | None = None


class DetokenizeRequest(ApiModel):
    """Tokens of a model."""

    model: Annotated[str | None, Field(max_length=200)] = None
    tokens: Annotated[list[TokenId], Field(max_length=MAX_TOKENS)]


def router(state: ServerState) -> APIRouter:
    """The routes over the state's language models."""
    routes = APIRouter(tags=["tokens"])

    @routes.post("/tokenize")
    async def tokenize(body: TokenizeRequest, _: _Key) -> dict[str, Any]:
        """The tokens of a text or of a conversation."""
        model = state.language_model(body.model)
        if (body.prompt is None) == (body.messages is None):
            raise ApiError(400, "either prompt or messages must be given", param="prompt")
        tokens = await asyncio.to_thread(_encode, model.codec, body)
        answer = {"tokens": tokens, "count": len(tokens), "max_model_len": model.context_length}
        if body.return_token_strs:
            answer["token_strs"] = [token_text(model.codec, token) for token in tokens]
        return answer

    @routes.post("/detokenize")
    async def detokenize(body: DetokenizeRequest, _: _Key) -> dict[str, str]:
        """The text of tokens; a control token's is its name."""
        codec = state.language_model(body.model).codec
        return {"prompt": await asyncio.to_thread(_decode, codec, body.tokens)}

    @routes.get("/tokenizer_info")
    async def tokenizer_info(
        _: _Key, model: Annotated[str | None, Query(max_length=200)] = None
    ) -> dict[str, Any]:
        """Begin and end tokens and the chat template."""
        found = state.language_model(model)
        codec = found.codec
        return {
            "model": found.name,
            "bos_token": codec.bos_token or None,
            "eos_token": codec.eos_token or None,
            "pad_token": None,
            "vocab_size": codec.vocab_size,
            "model_max_length": found.context_length,
            "chat_template": codec.template_source,
        }

    return routes


def _encode(codec: Codec, body: TokenizeRequest) -> list[int]:
    if body.messages is not None:
        return codec.encode_chat([message.plain() for message in body.messages])
    text = body.prompt or ""
    control = next((token for token, name in codec.control_tokens.items() if name == text), None)
    if control is not None:
        return [control]
    return codec.encode_text(text) if body.add_special_tokens is False else codec.encode(text)


def _decode(codec: Codec, tokens: list[int]) -> str:
    """Raises RequestError for a token that the vocabulary does not have."""
    decoder = codec.decoder()
    pieces = []
    for token in tokens:
        name = codec.control_tokens.get(token)
        pieces.append(decoder.push(token) if name is None else decoder.flush() + name)
    return "".join(pieces) + decoder.flush()
