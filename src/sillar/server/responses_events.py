"""A response as it grows: the object of /v1/responses, and the events that tell a client what is new."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from typing import Any

from sillar.server.responses_types import ResponsesRequest, TextFormat

Event = dict[str, Any]


class GrowingResponse:
    """Takes chat's deltas; gives events, in the official order, and the response itself."""

    def __init__(self, body: ResponsesRequest, model: str, store: bool) -> None:
        self._number = 0
        self._item: dict[str, Any] | None = None  # the output item that is being written
        self._call = -1  # chat's index of the call that is being written
        self._blank = ""  # white space before the text, kept back: it may precede a call
        self.payload: dict[str, Any] = {
            "id": f"resp_{secrets.token_hex(16)}",
            "object": "response",
            "created_at": int(time.time()),
            "status": "in_progress",
            "background": False,
            "error": None,
            "incomplete_details": None,
            "instructions": body.instructions,
            "max_output_tokens": body.max_output_tokens,
            "metadata": body.metadata or {},
            "model": model,
            "output": [],
            "parallel_tool_calls": body.parallel_tool_calls is not False,
            "previous_response_id": body.previous_response_id,
            "reasoning": {"effort": None, "summary": None},
            "store": store,
            "temperature": body.temperature,
            "text": {"format": _format(body)},
            "tool_choice": _choice(body),
            "tools": [tool.model_dump() for tool in body.tools or ()],
            "top_logprobs": body.top_logprobs or 0,
            "top_p": body.top_p,
            "truncation": "disabled",
            "usage": None,
        }

    def begin(self) -> Iterator[Event]:
        yield self._event("response.created", response=dict(self.payload))
        yield self._event("response.in_progress", response=dict(self.payload))

    def add(self, delta: dict[str, Any], logprobs: list[dict[str, Any]]) -> Iterator[Event]:
        """One of chat's deltas: content, calls or parts of calls."""
        if delta.get("content"):
            yield from self._say(delta["content"], logprobs)
        for call in delta.get("tool_calls", ()):
            yield from self._call_on(call)

    def cite(self, annotations: list[dict[str, Any]], citations: list[dict[str, Any]]) -> Iterator[Event]:
        """What the text's `[n]` stand for, in chat's shape."""
        if self._item is None:
            return
        part = self._item["content"][0]
        part["citations"] = citations
        for index, annotation in enumerate(annotations):
            flat = {"type": annotation["type"], **annotation[annotation["type"]]}
            part["annotations"].append(flat)
            yield self._part_event(
                "response.output_text.annotation.added", annotation_index=index, annotation=flat
            )

    def end(self, reason: str | None, usage: dict[str, Any]) -> Iterator[Event]:
        """`reason` and `usage` are chat's."""
        cut = reason == "length"
        if self._item is None and not self.payload["output"]:
            yield from self._open_message()
            yield from self._append(self._blank, [])
        yield from self._close("incomplete" if cut else "completed")
        self.payload["usage"] = _usage(usage)
        self.payload["status"] = "incomplete" if cut else "completed"
        if cut:
            self.payload["incomplete_details"] = {"reason": "max_output_tokens"}
        self.payload["completed_at"] = None if cut else int(time.time())
        yield self._event(f"response.{self.payload['status']}", response=self.payload)

    def fail(self, message: str) -> Event:
        """The last event of a response that could not be finished."""
        self.payload["status"] = "failed"
        self.payload["error"] = {"code": "server_error", "message": message}
        return self._event("response.failed", response=self.payload)

    def message(self) -> dict[str, Any]:
        """The whole output as the chat message that a next turn goes on from."""
        out: dict[str, Any] = {"role": "assistant", "content": None}
        for item in self.payload["output"]:
            if item["type"] == "message":
                out["content"] = item["content"][0]["text"]
            else:
                function = {"name": item["name"], "arguments": item["arguments"]}
                call = {"id": item["call_id"], "type": "function", "function": function}
                out.setdefault("tool_calls", []).append(call)
        return out

    def _say(self, text: str, logprobs: list[dict[str, Any]]) -> Iterator[Event]:
        if self._item is None or self._item["type"] != "message":
            if not text.strip():
                self._blank += text
                return
            yield from self._close("completed")
            yield from self._open_message()
            text, self._blank = self._blank + text, ""
        yield from self._append(text, logprobs)

    def _append(self, text: str, logprobs: list[dict[str, Any]]) -> Iterator[Event]:
        assert self._item is not None
        part = self._item["content"][0]
        part["text"] += text
        part["logprobs"] += logprobs
        if text:
            yield self._part_event("response.output_text.delta", delta=text, logprobs=logprobs)

    def _open_message(self) -> Iterator[Event]:
        empty = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
        item: dict[str, Any] = {"id": f"msg_{secrets.token_hex(16)}", "type": "message", "role": "assistant"}
        yield from self._open({**item, "status": "in_progress", "content": []})
        assert self._item is not None
        yield self._part_event("response.content_part.added", part=empty)
        self._item["content"] = [{**empty, "annotations": [], "logprobs": []}]

    def _call_on(self, call: dict[str, Any]) -> Iterator[Event]:
        if call["index"] != self._call:
            yield from self._close("completed")
            self._call = call["index"]
            item = {"id": f"fc_{secrets.token_hex(16)}", "type": "function_call", "status": "in_progress"}
            yield from self._open(
                {**item, "call_id": call["id"], "name": call["function"]["name"], "arguments": ""}
            )
        assert self._item is not None
        if piece := call["function"].get("arguments"):
            self._item["arguments"] += piece
            yield self._item_event("response.function_call_arguments.delta", delta=piece)

    def _open(self, item: dict[str, Any]) -> Iterator[Event]:
        self._item = item
        self._blank = ""
        index = len(self.payload["output"])
        yield self._event("response.output_item.added", output_index=index, item=dict(item))

    def _close(self, status: str) -> Iterator[Event]:
        """Ends the item that is being written, if there is one."""
        if self._item is None:
            return
        self._item["status"] = status
        if self._item["type"] == "message":
            part = self._item["content"][0]
            text, logprobs = part["text"], part["logprobs"]
            yield self._part_event("response.output_text.done", text=text, logprobs=logprobs)
            yield self._part_event("response.content_part.done", part=part)
        else:
            arguments = self._item["arguments"]
            done = "response.function_call_arguments.done"
            yield self._item_event(done, arguments=arguments, name=self._item["name"])
        index = len(self.payload["output"])
        yield self._event("response.output_item.done", output_index=index, item=self._item)
        self.payload["output"].append(self._item)
        self._item = None

    def _part_event(self, kind: str, **fields: Any) -> Event:
        return self._item_event(kind, content_index=0, **fields)

    def _item_event(self, kind: str, **fields: Any) -> Event:
        assert self._item is not None
        place = {"item_id": self._item["id"], "output_index": len(self.payload["output"])}
        return self._event(kind, **place, **fields)

    def _event(self, kind: str, **fields: Any) -> Event:
        self._number += 1
        return {"type": kind, "sequence_number": self._number - 1, **fields}


def _usage(usage: dict[str, Any]) -> dict[str, Any]:
    cached = usage.get("prompt_tokens_details", {}).get("cached_tokens", 0)
    return {
        "input_tokens": usage["prompt_tokens"],
        "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": 0},
        "output_tokens": usage["completion_tokens"],
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage["total_tokens"],
    }


def _format(body: ResponsesRequest) -> dict[str, Any]:
    form = body.text.format if body.text else TextFormat()
    return form.model_dump(by_alias=True, exclude_none=True)


def _choice(body: ResponsesRequest) -> Any:
    choice = body.tool_choice or "auto"
    return choice if isinstance(choice, str) else choice.model_dump()
