"""Function calls: told to the model, required by grammar where asked, found in its text.

One format for every model, that of Hermes and Qwen: <tool_call>{"name": ..., "arguments": ...}</tool_call>.
Templates that know it lay it out themselves; for all others it is explained in the system message.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from sillar.engine.grammar import Grammar
from sillar.engine.stops import StopMatcher
from sillar.server.chat_types import ChatRequest, NamedTool, Tool
from sillar.server.errors import ApiError

_BEGIN, _END = "<tool_call>", "</tool_call>"
_EXPLAINED = """You may call functions. They are, one JSON object a line:
<tools>
{tools}
</tools>
To call one, answer with its name and arguments as JSON between tags, and nothing else:
<tool_call>
{{"name": "...", "arguments": {{...}}}}
</tool_call>"""

_COMPACT = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
"""Of llguidance: a weak model may fill its tokens with white space where it is allowed."""

Messages = list[dict[str, Any]]


class ToolUse:
    """What one request says about tools."""

    def __init__(self, body: ChatRequest, template: str) -> None:
        """`template`: the source of the model's chat template. Raises ApiError for a contradiction."""
        self._choice = body.tool_choice or "auto"
        tools = body.tools or []
        if not tools and body.tool_choice not in {None, "none", "auto"}:
            raise ApiError(400, "tool_choice needs tools", param="tool_choice")
        self.tools = [] if self._choice == "none" else tools
        self._parallel = body.parallel_tool_calls is not False
        self._native = _BEGIN in template
        if isinstance(self._choice, NamedTool):
            name = self._choice.function.name
            self._forced = [tool for tool in tools if tool.function.name == name]
            if not self._forced:
                raise ApiError(
                    400, f"tool_choice names '{name}', which is none of the tools", param="tool_choice"
                )
        else:
            self._forced = list(tools) if self._choice == "required" else []

    def messages(self, messages: Messages) -> Messages:
        """As the template can lay them out."""
        if self._native:
            return [_parsed(message) for message in messages]
        out = [_flat(message) for message in messages]
        if self.tools:
            text = _EXPLAINED.format(tools="\n".join(json.dumps(spec) for spec in self.specs))
            if out[0]["role"] == "system":
                text = f"{out[0]['content']}\n\n{text}"
                del out[0]
            out.insert(0, {"role": "system", "content": text})
        return out

    @property
    def specs(self) -> list[dict[str, Any]]:
        """The tools as JSON."""
        return [tool.model_dump(exclude_none=True) for tool in self.tools]

    @property
    def for_template(self) -> list[dict[str, Any]] | None:
        """What the template is given."""
        return self.specs if self._native and self.tools else None

    @property
    def grammar(self) -> Grammar | None:
        """What the answer must look like, when a call is required."""
        if not self._forced:
            return None
        schema = {"anyOf": [_call_schema(tool) for tool in self._forced], "x-guidance": _COMPACT}
        many = isinstance(self._choice, str) and self._parallel
        rule = 'call ("\\n" call)*' if many else "call"
        return Grammar(
            "lark",
            f'start: {rule}\ncall: "{_BEGIN}\\n" body "\\n{_END}"\nbody: %json {json.dumps(schema)}\n',
        )


class CallFinder:
    """Divides an answer, as it streams, into what is said and what is called."""

    def __init__(self) -> None:
        self._matcher = StopMatcher((_BEGIN,))
        self._text = ""
        self._said = 0

    def push(self, text: str) -> str:
        """What is certainly said; after the first call nothing is, until finish()."""
        self._text += text
        out = self._matcher.push(text)
        self._said += len(out)
        return out

    def finish(self) -> tuple[str, list[dict[str, Any]]]:
        """The rest of what is said, and the calls. Text that only looks like a call is said."""
        rest = self._text[self._said :]
        calls = _calls(rest)
        return ("" if calls else rest), calls


def _calls(text: str) -> list[dict[str, Any]]:
    calls: list[dict[str, Any]] = []
    for part in text.split(_BEGIN)[1:]:
        try:
            call = json.loads(part.partition(_END)[0])
            name, arguments = call["name"], call.get("arguments", {})
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return calls  # cut by max_tokens: the whole ones count
        if not isinstance(name, str):
            return calls
        arguments = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
        function = {"name": name, "arguments": arguments}
        calls.append({"id": f"call_{secrets.token_hex(12)}", "type": "function", "function": function})
    return calls


def _call_schema(tool: Tool) -> dict[str, Any]:
    """The JSON of one call. Parameters that are not described may be any object."""
    return {
        "type": "object",
        "properties": {
            "name": {"const": tool.function.name},
            "arguments": tool.function.parameters or {"type": "object"},
        },
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }


def _parsed(message: Mapping[str, Any]) -> dict[str, Any]:
    """Templates write arguments as JSON themselves: give them the object."""
    if "tool_calls" not in message:
        return dict(message)
    calls = [
        {**call, "function": {**call["function"], "arguments": _object(call["function"]["arguments"])}}
        for call in message["tool_calls"]
    ]
    return {**message, "tool_calls": calls}


def _flat(message: Mapping[str, Any]) -> dict[str, Any]:
    """Calls and their results as plain text, for templates that know neither."""
    content = message["content"]
    if message["role"] == "tool":
        return {"role": "user", "content": f"<tool_response>\n{content}\n</tool_response>"}
    calls: Sequence[Mapping[str, Any]] = message.get("tool_calls") or ()
    for call in calls:
        function = call["function"]
        body = json.dumps({"name": function["name"], "arguments": _object(function["arguments"])})
        content += f"\n{_BEGIN}\n{body}\n{_END}"
    return {"role": message["role"], "content": content.strip() if calls else content}


def _object(arguments: str) -> Any:
    try:
        return json.loads(arguments)
    except (ValueError, RecursionError):
        raise ApiError(400, "the arguments of a tool call are not JSON", param="messages") from None
