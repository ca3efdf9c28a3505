"""The model `documents`: conversations answered from the documents, for clients that speak chat completions.

The last message is the question, the turns before it are its history. `[n]` in the text are citations;
the message lists them whole (`citations`) and where they stand in the text (`annotations`).
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any, Literal, cast
from urllib.parse import urlencode

from fastapi import Request
from starlette.responses import JSONResponse, Response

from sillar.server.answer import envelope
from sillar.server.auth import Client
from sillar.server.chat_types import ChatRequest
from sillar.server.documents_api import MAX_QUESTION, AskRequest, Turn, answered
from sillar.server.errors import ApiError
from sillar.server.state import DOCUMENTS, ServerState
from sillar.server.streaming import DONE, EventStream, sse, while_connected

MAX_HISTORY = 20
_MARKER = re.compile(r"(?<!\S)\[(\d+)\]")

WITHOUT_EFFECT = ("temperature", "top_p", "top_k", "min_p", "seed", "presence_penalty",
                  "frequency_penalty", "repetition_penalty", "max_tokens", "max_completion_tokens",
                  "priority", "tool_choice", "parallel_tool_calls")  # fmt: skip
"""Answers are short, greedy and from the documents whatever these say; most clients always send some."""
REFUSED = {
    "tools": "this model answers from the documents only",
    "response_format": "answers of this model are text with citations",
    "logprobs": "parts of an answer are quotes, which no model drew",
    "top_logprobs": "parts of an answer are quotes, which no model drew",
    "n": "there is one answer",
    "stop": "an answer is whole sentences",
    "logit_bias": "answers are quotes or supported by quotes",
    "min_tokens": "answers are as long as the documents make them",
    "ignore_eos": "answers are as long as the documents make them",
}


async def respond(state: ServerState, body: ChatRequest, request: Request, client: Client) -> Response:
    """The answer in either form. Raises ApiError for what this model cannot do."""
    answer = events(state, body, client)
    if body.stream:
        options = body.stream_options
        wants_usage = options is not None and bool(options.include_usage)
        return EventStream(_chunks(answer, wants_usage), lambda: None)
    return JSONResponse(await while_connected(request, _whole(answer)))


def events(
    state: ServerState, body: ChatRequest, client: Client
) -> AsyncGenerator[str | dict[str, Any], None]:
    """Pieces of text, then the whole answer, recorded. Raises ApiError for what this model cannot do."""
    assert state.library is not None
    _check(body)
    question = ask_request([message.plain() for message in body.messages])
    return answered(state.library, state.answering_model(client.tenant), question, client)


def ask_request(messages: Sequence[dict[str, Any]]) -> AskRequest:
    """The question that a conversation ends with. Raises ApiError where it ends otherwise."""
    last = messages[-1]
    question = str(last["content"]).strip()
    if last["role"] != "user" or not question:
        raise ApiError(400, "the last message must be the user's question", param="messages")
    if len(question) > MAX_QUESTION:
        raise ApiError(400, f"a question has {MAX_QUESTION} characters at most", param="messages")
    turns = [m for m in messages[:-1] if m["role"] in ("user", "assistant") and m["content"]]
    history = [
        Turn(
            role=cast(Literal["user", "assistant"], turn["role"]),
            content=str(turn["content"])[:MAX_QUESTION],
        )
        for turn in turns[-MAX_HISTORY:]
    ]
    return AskRequest(question=question, history=history)


def url_annotations(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """Where each `[n]` stands in the text, with a link to its passage, in OpenAI's shape."""
    by_number = {citation["number"]: citation for citation in answer["citations"]}
    found = []
    for marker in _MARKER.finditer(answer["answer"]):
        citation = by_number.get(int(marker[1]))
        if citation is not None:
            span = urlencode({"start": citation["start"], "end": citation["end"]})
            place = {
                "start_index": marker.start(),
                "end_index": marker.end(),
                "title": citation["document"],
                "url": f"/v1/documents/{citation['document_id']}/text?{span}",
            }
            found.append({"type": "url_citation", "url_citation": place})
    return found


def _check(body: ChatRequest) -> None:
    for name, reason in REFUSED.items():
        value = getattr(body, name)
        neutral = value == 1 if name == "n" else name == "response_format" and value and value.type == "text"
        if value and not neutral:
            raise ApiError(400, f"the model '{DOCUMENTS}' takes no {name}: {reason}", param=name)


async def _whole(events: Any) -> dict[str, Any]:
    async with aclosing(events):
        async for event in events:
            if isinstance(event, dict):
                message = {"role": "assistant", "content": event["answer"], "refusal": None}
                choice = {"index": 0, "message": message | _about(event), "logprobs": None}
                head = envelope("chatcmpl", "chat.completion", DOCUMENTS)
                return {**head, "choices": [choice | {"finish_reason": "stop"}], "usage": usage(event)}
    raise AssertionError("an answer's last event holds the answer")


async def _chunks(events: Any, wants_usage: bool) -> AsyncIterator[bytes]:
    """As chunks; the last but the usage's says what the citations are."""
    head = envelope("chatcmpl", "chat.completion.chunk", DOCUMENTS)
    if wants_usage:
        head["usage"] = None

    def chunk(delta: dict[str, Any], reason: str | None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return sse({**head, "choices": [choice]})

    yield chunk({"role": "assistant", "content": ""}, None)
    async with aclosing(events):
        async for event in events:
            if isinstance(event, str):
                yield chunk({"content": event}, None)
                continue
            yield chunk(_about(event), "stop")
            if wants_usage:
                yield sse({**head, "choices": [], "usage": usage(event)})
    yield DONE


def _about(answer: dict[str, Any]) -> dict[str, Any]:
    """What a message says beside its text. `answer_id`: for /v1/answers/{id}/feedback."""
    return {
        "annotations": url_annotations(answer),
        "citations": answer["citations"],
        "abstained": answer["abstained"],
        "nearest": answer["nearest"],
        "answer_id": answer["id"],
    }


def usage(answer: dict[str, Any]) -> dict[str, int]:
    """Of the language model; 0 where it was not asked."""
    tokens = answer["tokens"]
    prompt, completion = tokens.get("prompt", 0), tokens.get("completion", 0)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
