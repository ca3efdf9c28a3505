"""Writes docs/api.md from the code: routes, fields with their bounds, what is ignored and what is refused."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from fastapi import APIRouter
from fastapi.routing import APIRoute

from sillar.errors import SillarError
from sillar.server import (
    chat,
    completions,
    coverage,
    documents_api,
    documents_model,
    embeddings,
    journal_api,
    keys_api,
    machine_api,
    rerank,
    responses,
    service,
    tokenization,
)
from sillar.server.auth import SCOPES
from sillar.server.chat_types import ChatRequest
from sillar.server.completions import CompletionRequest
from sillar.server.coverage import table
from sillar.server.embeddings import EmbeddingRequest
from sillar.server.errors import _KINDS
from sillar.server.handoff import HandOff
from sillar.server.library import Library
from sillar.server.memory_guard import SMALL
from sillar.server.options import Limits, ServerOptions
from sillar.server.rerank import RerankRequest
from sillar.server.responses_store import KEPT_BYTES, KEPT_RESPONSES, KEPT_SECONDS
from sillar.server.responses_types import ResponsesRequest
from sillar.server.state import ServerState
from sillar.server.tokenization import DetokenizeRequest, TokenizeRequest
from sillar.server.types import IGNORED, MAX_SCORES, ApiModel

_INTRO = """# The HTTP API

Made from the code by `python -m sillar.server.documentation docs/api.md`; a test compares them.

`sillar serve` listens on 127.0.0.1:8080 and speaks OpenAI's protocol: point a client's `base_url` at
`http://127.0.0.1:8080/v1`. Where there are keys (`--keys FILE`, made by `sillar key`), every request but
`GET /health` needs one: `Authorization: Bearer sk-sillar-...`. Without keys only this machine is served, by
its own names, and pages of other sites are refused. An unknown field is an error, never dropped in silence.
"""
_MODELS: tuple[tuple[str, type[ApiModel]], ...] = (
    ("POST /v1/chat/completions", ChatRequest),
    ("POST /v1/responses", ResponsesRequest),
    ("POST /v1/completions", CompletionRequest),
    ("POST /v1/embeddings", EmbeddingRequest),
    ("POST /v1/rerank", RerankRequest),
    ("POST /tokenize", TokenizeRequest),
    ("POST /detokenize", DetokenizeRequest),
)
_HARNESSES = """## Evaluation harnesses

`/v1/completions` with `echo` and `logprobs` scores a prompt token by token; with `logprobs` a token that ends
the text has an entry too, under its name. `/tokenize`, `/detokenize` and `GET /tokenizer_info` are vLLM's, so
lm-eval needs no tokenizer of its own:

    lm_eval --model local-completions --tasks NAME \\
      --model_args model=NAME,base_url=http://127.0.0.1:8080/v1/completions,num_concurrent=4
"""
_WHEN: dict[type[SillarError], str] = {
    SillarError: "Something failed here; the log has the error by its number."
}


def render() -> str:
    """The whole page."""
    parts = [_INTRO, _routes(), _tools()]
    parts += [_fields(title, model) for title, model in _MODELS]
    parts += [_HARNESSES, _responses(), _documents_model()]
    parts += [_ignored(), _errors(), _limits(), coverage.section()]
    return "\n".join(parts)


def _routes() -> str:
    state = ServerState(ServerOptions())
    modules = (service, chat, responses, completions, embeddings, rerank, tokenization, keys_api, machine_api)
    routers = [module.router(state) for module in modules]
    # The routes are looked at, not called: no library is needed behind them.
    library = cast(Library, SimpleNamespace(journal=None))
    documents = [documents_api.router(state, library), journal_api.router(library, cast(HandOff, None))]
    scopes = ", ".join(sorted(SCOPES))
    return (
        f"## Routes\n\n{table(('route', 'what it does'), _rows(routers))}\n"
        f"With a folder of documents (`sillar serve DIR`):\n\n"
        f"{table(('route', 'what it does'), _rows(documents))}\n"
        f"A key's scopes: {scopes}.\n"
    )


def _responses() -> str:
    return f"""## Conversations at /v1/responses

The events of a stream are the official ones, in their order; `response.incomplete` ends a response that
`max_output_tokens` cut, `response.failed` one that an error ended. Unless `store` is false a response is kept
in memory, for its tenant: the newest {KEPT_RESPONSES}, {KEPT_BYTES >> 20} MiB together, for
{KEPT_SECONDS // 60} minutes, none over a restart. `previous_response_id` goes on from one; its `instructions`
do not carry over. Tools are functions: there are no built-in ones. The model `documents` answers here too.
"""


def _documents_model() -> str:
    rows = [(f"`{name}`", reason) for name, reason in documents_model.REFUSED.items()]
    ignored = ", ".join(f"`{name}`" for name in documents_model.WITHOUT_EFFECT)
    return f"""## The model `documents`

With a folder of documents, `/v1/chat/completions` has one more model, named `documents`: the last message is
the question, the turns before it ({documents_model.MAX_HISTORY} at most) are its history, and system messages
have no effect. The key needs the scope `documents`, and reaches the shared folder and its tenant's uploads.
`[n]` in the text are citations. Beside it the message (in a stream: the last delta) has `citations`
(document, page, section, quote, its place), `annotations` (where each `[n]` stands in the text, with a link
to the passage), `abstained`, `nearest` (as `citations`: where to look after all, when it abstained),
and `answer_id` for `/v1/answers/{{answer}}/feedback`.

Without effect: {ignored}.

Refused:

{table(("field", "why"), rows)}"""


def _rows(routers: Sequence[APIRouter]) -> list[tuple[str, str]]:
    rows = []
    for route in (route for router in routers for route in router.routes):
        if isinstance(route, APIRoute):
            [method] = route.methods or {"GET"}
            text = (route.endpoint.__doc__ or "").strip().splitlines()
            rows.append((f"`{method} {route.path}`", text[0] if text else ""))
    return rows


def _tools() -> str:
    return """## Structured output and tools

`response_format` takes `json_object`, `json_schema` (with a `schema`) and, ours,
`{"type": "regex", "pattern": "..."}`. The output then follows the grammar at every token; one that is cut by
`max_tokens` is not whole. `response_format` and `tools` exclude each other.

`tools` are laid out by the model's own template, and calls are read, in the format that the template knows:
Hermes' and Qwen's `<tool_call>`, Llama 3's JSON, Mistral's `[TOOL_CALLS]`. For other models the first is
explained in the system message. With `tool_choice` `required` or a named function a grammar holds the call
to the function's schema (arguments that it does not describe only where `additionalProperties` says so): one
call, or several with `parallel_tool_calls: true`. In streams a call's arguments come as they are written.

Log-probabilities are those of the model's unmodified distribution. `seed` gives the same tokens again,
whatever else the server does; choice i of `n` draws with seed + i. In `usage`, `cached_tokens` are prompt
tokens found in the prefix cache, and `accepted_prediction_tokens` were drafted from the prompt and right.
Without `temperature` and the like, the server's settings apply (`[sampling]`, greedy at first).
"""


def _fields(title: str, model: type[ApiModel]) -> str:
    schema = model.model_json_schema()
    required = set(schema.get("required", ()))
    rows = [
        (f"`{name}`" + (" (required)" if name in required else ""), _kind(spec), spec.get("description", ""))
        for name, spec in schema["properties"].items()
    ]
    out = f"## {title}\n\n{table(('field', 'values', 'note'), rows)}"
    if refused := model.refusals():
        reasons = [(f"`{name}`", reason) for name, reason in refused.items()]
        out += f"\nRefused:\n\n{table(('field', 'why'), reasons)}"
    return out


def _kind(spec: dict[str, Any]) -> str:
    """Type and bounds in words."""
    if "anyOf" in spec:
        outer = {key: value for key, value in spec.items() if key != "anyOf"}
        kinds = [_kind({**outer, **option}) for option in spec["anyOf"] if option.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if "enum" in spec or "const" in spec:
        return ", ".join(f"`{value}`" for value in spec.get("enum", [spec.get("const")]))
    if "$ref" in spec:
        return str(spec["$ref"]).rpartition("/")[2]
    kind = str(spec.get("type", "any"))
    if kind == "array":
        kind = f"list of {_kind(spec.get('items', {}))}"
    return kind + _bounds(spec)


def _bounds(spec: dict[str, Any]) -> str:
    low, high = spec.get("minimum"), spec.get("maximum")
    if "exclusiveMinimum" in spec:
        low = f"above {spec['exclusiveMinimum']}"
    if "exclusiveMaximum" in spec:
        high = f"below {spec['exclusiveMaximum']}"
    out = "" if low is None and high is None else f", {low} to {high}"
    most = spec.get("maxItems") or spec.get("maxLength") or spec.get("maxProperties")
    return out + (f", {most} at most" if most else "")


def _ignored() -> str:
    rows = [(f"`{name}`", reason) for name, reason in IGNORED.items()]
    return f"## Accepted, without effect\n\n{table(('field', 'why'), rows)}"


def _errors() -> str:
    rows = [
        (str(status), kind, code or "", _WHEN.get(cls, cls.__doc__ or ""))
        for cls, status, kind, code in _KINDS
    ]
    rows += [
        ("401", "authentication_error", "invalid_api_key", "No key, or a wrong one."),
        ("403", "permission_error", "missing_scope", "The key does not have the scope."),
        ("413", "invalid_request_error", "body_too_large", "The body is too large."),
        ("429", "rate_limit_error", "rate_limit_exceeded", "The key's rate or concurrency; see Retry-After."),
    ]
    return f"## Errors\n\n{table(('status', 'type', 'code', 'when'), sorted(rows))}"


def _limits() -> str:
    rows = [(name, f"{getattr(Limits(), name):,}") for name in Limits.__dataclass_fields__]
    return f"""## Limits of a server

{table(("limit", "default"), rows)}
An answer has at most {MAX_SCORES:,} log-probabilities, alternatives included. A body of more than
{SMALL >> 10} KiB is taken only while there is memory for what it may become (503, `resources_exhausted`);
limits set with `ulimit` count.
"""


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(render(), "utf-8")
