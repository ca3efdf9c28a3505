"""What of OpenAI's API is here and what is refused: one table of its routes, one of every field."""

from __future__ import annotations

from collections.abc import Iterable

from sillar.server.chat_types import ChatRequest
from sillar.server.completions import CompletionRequest
from sillar.server.embeddings import EmbeddingRequest
from sillar.server.responses_types import ResponsesRequest
from sillar.server.types import IGNORED, ApiModel

_NOTHING_STORED = "chat completions are not stored; responses are, for an hour"
_TEXT_ONLY = "text models only"
ROUTES: tuple[tuple[str, str], ...] = (
    ("POST /v1/chat/completions", ""),
    ("GET, POST, DELETE /v1/chat/completions/{id}, GET .../messages", _NOTHING_STORED),
    ("POST /v1/completions", ""),
    ("POST /v1/embeddings", ""),
    ("POST /v1/responses", ""),
    ("GET /v1/responses/{response}", ""),
    ("DELETE /v1/responses/{response}", ""),
    ("GET /v1/responses/{response}/input_items", ""),
    ("POST /v1/responses/{id}/cancel", "there are no background responses: close the connection"),
    ("POST /v1/responses/compact, /v1/responses/input_tokens", "POST /tokenize counts tokens"),
    ("/v1/conversations", "previous_response_id goes on from a response"),
    ("GET /v1/models", ""),
    ("GET /v1/models/{name}", ""),
    ("DELETE /v1/models/{name}", "models are chosen when the server starts"),
    ("/v1/files, /v1/uploads, /v1/vector_stores", "POST /v1/documents takes files to answer from"),
    ("/v1/assistants, /v1/threads", "replaced by OpenAI itself: use /v1/responses"),
    ("/v1/images, /v1/videos", _TEXT_ONLY),
    ("/v1/audio, /v1/realtime", _TEXT_ONLY),
    ("/v1/moderations", "no such model is here"),
    ("/v1/fine_tuning, /v1/evals, /v1/containers", "models run here, they are not trained; no code is run"),
    ("/v1/batches", "send the requests: they are batched; priority -1 gives way to others"),
    ("/v1/organization", "keys are made by `sillar key`; figures are at /metrics"),
)
"""OpenAI's routes, and why one is not here; empty for those that are."""

_SAMPLED = """frequency_penalty logit_bias max_tokens model n presence_penalty seed stop stream stream_options
    temperature top_p user"""
_CACHE = "prompt_cache_key prompt_cache_options prompt_cache_retention safety_identifier service_tier"
_NAMES: dict[str, tuple[type[ApiModel], str]] = {
    "/v1/chat/completions": (
        ChatRequest,
        f"""{_SAMPLED} {_CACHE} audio function_call functions logprobs max_completion_tokens messages metadata
        modalities moderation parallel_tool_calls prediction reasoning_effort response_format store
        tool_choice tools top_logprobs verbosity web_search_options""",
    ),
    "/v1/completions": (CompletionRequest, f"{_SAMPLED} best_of echo logprobs prompt suffix"),
    "/v1/embeddings": (EmbeddingRequest, "dimensions encoding_format input model user"),
    "/v1/responses": (
        ResponsesRequest,
        f"""{_CACHE} background context_management conversation include input instructions max_output_tokens
        max_tool_calls metadata model moderation parallel_tool_calls previous_response_id prompt reasoning
        store stream stream_options temperature text tool_choice tools top_logprobs top_p truncation user""",
    ),
}
FIELDS = {route: (model, tuple(names.split())) for route, (model, names) in _NAMES.items()}
"""OpenAI's fields of each route (its Python client 3.54)."""

_NOTES = {
    ("/v1/chat/completions", "messages"): "text parts; images, audio and files are refused",
    ("/v1/chat/completions", "tools"): "functions; not beside response_format",
    ("/v1/chat/completions", "response_format"): "text, json_object, json_schema; ours: regex",
    ("/v1/completions", "best_of"): "only where it equals n",
    ("/v1/embeddings", "dimensions"): "only the model's own",
    ("/v1/embeddings", "input"): "texts; tokens are refused",
    ("/v1/responses", "input"): "texts, calls and their outputs; images, audio and files are refused",
    ("/v1/responses", "tools"): "functions; built-in tools are refused",
}


def state_of(route: str, name: str) -> tuple[str, str]:
    """`yes`, `ignored` or `refused`, and a note."""
    model, _ = FIELDS[route]
    if (reason := model.refusals().get(name)) is not None:
        return "refused", reason
    if name in model.model_fields:
        return "yes", _NOTES.get((route, name), "")
    if name in IGNORED:
        return "ignored", IGNORED[name]
    return "refused", "unknown here"


def section() -> str:
    """The part of docs/api.md."""
    routes = [(f"`{route}`", "refused" if why else "yes", why) for route, why in ROUTES]
    fields = [
        (f"`{route}`", f"`{name}`", *state_of(route, name))
        for route, (_, names) in FIELDS.items()
        for name in sorted(names)
    ]
    return (
        "## What of OpenAI's API is here\n\n"
        "A route that is refused is answered 404 or 405; a field, 400 with its reason.\n\n"
        f"{table(('route', 'here', 'note'), routes)}\n"
        f"{table(('route', 'field', 'here', 'note'), fields)}"
    )


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Markdown."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)
