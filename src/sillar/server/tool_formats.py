"""How model families write function calls: Hermes and Qwen, Llama 3's JSON, Mistral's [TOOL_CALLS].

A model's chat template says which it was trained on. For all others Hermes' format is explained in the
system message.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sillar.engine.grammar import Grammar
from sillar.server.errors import ApiError

Message = dict[str, Any]

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


@dataclass(frozen=True, slots=True)
class ToolFormat:
    """One way to write calls."""

    name: Literal["hermes", "llama-3", "mistral"]
    marker: str
    """What a call begins with, wherever it stands. Control tokens are not part of a model's text."""
    opener: str
    """What an answer begins with that is a call from its first character on; "": nothing of the kind."""
    between: str
    """What a further call begins with."""
    arguments: str
    """The key of the arguments."""
    native: bool
    """Whether the model's template lays out tools and calls itself."""
    many: bool = True
    """Whether one turn can hold several calls."""
    bare_ids: bool = False
    id_length: int = 24

    def grammar(self, tools: Sequence[Mapping[str, Any]], many: bool) -> Grammar:
        """One call of one of these {name, parameters}, or several."""
        schema = {"anyOf": [self._call(tool) for tool in tools], "x-guidance": _COMPACT}
        body = f"body: %json {json.dumps(schema)}\n"
        if self.name == "llama-3":
            return Grammar("lark", f"start: body\n{body}")
        if self.name == "mistral":
            rule = 'body (", " body)*' if many else "body"
            return Grammar("lark", f'start: "[" {rule} "]"\n{body}')
        rule = 'call ("\\n" call)*' if many else "call"
        return Grammar("lark", f'start: {rule}\ncall: "<tool_call>\\n" body "\\n</tool_call>"\n{body}')

    def messages(self, messages: Sequence[Message], specs: Sequence[Mapping[str, Any]]) -> list[Message]:
        """As the model's template can lay them out."""
        if self.native:
            return [turn for message in messages for turn in self._native_turns(message)]
        out = [_flat(message) for message in messages]
        if specs:
            text = _EXPLAINED.format(tools="\n".join(json.dumps(spec) for spec in specs))
            if out[0]["role"] == "system":
                text = f"{out[0]['content']}\n\n{text}"
                del out[0]
            out.insert(0, {"role": "system", "content": text})
        return out

    def _call(self, tool: Mapping[str, Any]) -> dict[str, Any]:
        """The JSON of one call. Parameters that are not described may be any object."""
        parameters = tool.get("parameters")
        return {
            "type": "object",
            "properties": {
                "name": {"const": tool["name"]},
                self.arguments: {"type": "object"} if parameters is None else closed(parameters),
            },
            "required": ["name", self.arguments],
            "additionalProperties": False,
        }

    def _native_turns(self, message: Message) -> list[Message]:
        """Templates write arguments as JSON themselves: give them the object."""
        turn = dict(message)
        if self.bare_ids and "tool_call_id" in turn:
            turn["tool_call_id"] = self._id(turn["tool_call_id"])
        if "tool_calls" not in turn:
            return [turn]
        calls = [
            {
                **call,
                "id": self._id(call["id"]),
                "function": {**call["function"], "arguments": _object(call["function"]["arguments"])},
            }
            for call in turn["tool_calls"]
        ]
        if self.many:
            return [{**turn, "tool_calls": calls}]
        return [{**turn, "tool_calls": [call]} for call in calls]

    def _id(self, given: str) -> str:
        """Mistral's template takes nine letters and digits; other ids become such."""
        if not self.bare_ids or (len(given) == self.id_length and given.isalnum()):
            return given
        return hashlib.sha256(given.encode("utf-8", "replace")).hexdigest()[: self.id_length]


HERMES = ToolFormat("hermes", "<tool_call>", "", "<tool_call>", "arguments", native=True)
EXPLAINED = ToolFormat("hermes", "<tool_call>", "", "<tool_call>", "arguments", native=False)
LLAMA_3 = ToolFormat("llama-3", "<|python_tag|>", "{", "{", "parameters", native=True, many=False)
MISTRAL = ToolFormat(
    "mistral", "[TOOL_CALLS]", "[{", "{", "arguments", native=True, bare_ids=True, id_length=9
)


def format_of(template: str) -> ToolFormat:
    """The format that a chat template's source knows."""
    if "<tool_call>" in template:
        return HERMES
    if "[TOOL_CALLS]" in template and "[ARGS]" not in template:
        return MISTRAL
    if "<|start_header_id|>" in template and '"parameters": ' in template and "tool_calls" in template:
        return LLAMA_3
    return EXPLAINED


def closed(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The same schema without arguments beyond those that it describes, where it does not say otherwise.

    What follows it follows the given one too. Combined schemas stay as they are.
    """
    out = dict(schema)
    combined = {"allOf", "anyOf", "oneOf", "not", "if", "$ref", "patternProperties"} & out.keys()
    properties = out.get("properties")
    if isinstance(properties, Mapping) and not combined:
        out.setdefault("additionalProperties", False)
        out["properties"] = {
            name: closed(value) if isinstance(value, Mapping) else value for name, value in properties.items()
        }
    if isinstance(out.get("items"), Mapping):
        out["items"] = closed(out["items"])
    return out


def _flat(message: Mapping[str, Any]) -> Message:
    """Calls and their results as plain text, for templates that know neither."""
    content = message["content"]
    if message["role"] == "tool":
        return {"role": "user", "content": f"<tool_response>\n{content}\n</tool_response>"}
    calls: Sequence[Mapping[str, Any]] = message.get("tool_calls") or ()
    for call in calls:
        function = call["function"]
        body = json.dumps({"name": function["name"], "arguments": _object(function["arguments"])})
        content += f"\n<tool_call>\n{body}\n</tool_call>"
    return {"role": message["role"], "content": content.strip() if calls else content}


def _object(arguments: str) -> Any:
    try:
        return json.loads(arguments)
    except (ValueError, RecursionError):
        raise ApiError(400, "the arguments of a tool call are not JSON", param="messages") from None
