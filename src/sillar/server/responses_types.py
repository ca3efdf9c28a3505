"""The body of /v1/responses, and the conversation that it stands for."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError

from sillar.server.chat_types import ChatRequest
from sillar.server.errors import ApiError
from sillar.server.types import MAX_TOKENS, MAX_TOP_LOGPROBS, ApiModel, Text

MAX_ITEMS = 4096
LOGPROBS = "message.output_text.logprobs"
_REFUSED = {
    "background": "a request runs while its client waits",
    "context_management": "a conversation is taken whole or refused",
    "conversation": "previous_response_id continues one",
    "max_tool_calls": "there are no built-in tools",
    "moderation": "there is no moderation model here",
    "prompt": "templates of prompts are not kept here",
    "prompt_cache_options": "prefixes are found by their content",
    "prompt_cache_retention": "prefixes are found by their content",
    "reasoning": "the models here have no such control",
}
Name = Annotated[str, Field(max_length=128)]
Id = Annotated[str | None, Field(max_length=128)]
Status = Annotated[str | None, Field(max_length=20)]


class _Item(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: Id = None
    status: Status = None


class ContentPart(BaseModel):
    """A piece of a message's text; images and files are refused."""

    type: Literal["input_text", "output_text", "text"]
    text: Text


Content = Text | Annotated[list[ContentPart], Field(max_length=MAX_ITEMS)]


class MessageItem(_Item):
    """A turn; an answer's own output items are taken back as they are."""

    type: Literal["message"] = "message"
    role: Literal["system", "developer", "user", "assistant"]
    content: Content
    phase: Status = None


class CallItem(_Item):
    """A function call that an answer made before."""

    type: Literal["function_call"]
    call_id: Name
    name: Name
    arguments: Text


class CallOutputItem(_Item):
    """What that function returned."""

    type: Literal["function_call_output"]
    call_id: Name
    output: Content


def _kind(value: Any) -> Any:
    return value.get("type", "message") if isinstance(value, dict) else getattr(value, "type", None)


InputItem = Annotated[
    Annotated[MessageItem, Tag("message")]
    | Annotated[CallItem, Tag("function_call")]
    | Annotated[CallOutputItem, Tag("function_call_output")],
    Discriminator(_kind),
]


class FunctionTool(BaseModel):
    """A function that the model may call; there are no built-in tools."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["function"]
    name: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[a-zA-Z0-9_.-]+$")]
    description: Annotated[str | None, Field(max_length=10_000)] = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class ToolChoice(BaseModel):
    """A choice of one function."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["function"]
    name: Name


class TextFormat(BaseModel):
    """text, JSON of any shape, or JSON of a schema's."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    type: Literal["text", "json_object", "json_schema"] = "text"
    name: Name | None = None
    description: Annotated[str | None, Field(max_length=10_000)] = None
    json_schema: Annotated[dict[str, Any] | None, Field(alias="schema")] = None
    strict: bool | None = None


class TextOptions(BaseModel):
    """How the text is to look."""

    model_config = ConfigDict(extra="forbid")

    format: TextFormat = TextFormat()


class ResponseStreamOptions(BaseModel):
    """Obfuscation pads no event here: there is nothing to hide sizes from on one's own machine."""

    model_config = ConfigDict(extra="forbid")

    include_obfuscation: bool | None = None


class ResponsesRequest(ApiModel):
    """OpenAI's request for a response."""

    model: Annotated[str | None, Field(max_length=200, description="Name of a loaded model.")] = None
    input: Text | Annotated[list[InputItem], Field(min_length=1, max_length=MAX_ITEMS)]
    instructions: Annotated[Text | None, Field(description="Of this response only.")] = None
    previous_response_id: Annotated[Name | None, Field(description="Continues a kept response.")] = None
    store: Annotated[bool | None, Field(description="Whether to keep it; true where not said.")] = None
    max_output_tokens: Annotated[int | None, Field(ge=1, le=MAX_TOKENS)] = None
    temperature: Annotated[float | None, Field(ge=0, le=2, allow_inf_nan=False)] = None
    top_p: Annotated[float | None, Field(gt=0, le=1, allow_inf_nan=False)] = None
    seed: Annotated[int | None, Field(ge=-(2**63), lt=2**63, description="Ours.")] = None
    top_logprobs: Annotated[int | None, Field(ge=0, le=MAX_TOP_LOGPROBS)] = None
    include: Annotated[list[Literal["message.output_text.logprobs"]] | None, Field(max_length=8)] = None
    text: TextOptions | None = None
    tools: Annotated[list[FunctionTool] | None, Field(max_length=128)] = None
    tool_choice: Literal["none", "auto", "required"] | ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    stream: bool | None = None
    stream_options: ResponseStreamOptions | None = None
    truncation: Annotated[Literal["disabled"] | None, Field(description="A long prompt is an error.")] = None
    metadata: Annotated[
        dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]] | None,
        Field(max_length=16),
    ] = None

    @classmethod
    def refusals(cls) -> dict[str, str]:
        return _REFUSED

    def turns(self) -> list[dict[str, Any]]:
        """The input as messages of a chat."""
        if isinstance(self.input, str):
            return [{"role": "user", "content": self.input}]
        messages: list[dict[str, Any]] = []
        for item in self.input:
            if isinstance(item, CallItem):
                if not messages or messages[-1]["role"] != "assistant":
                    messages.append({"role": "assistant", "content": None})
                function = {"name": item.name, "arguments": item.arguments}
                call = {"id": item.call_id, "type": "function", "function": function}
                messages[-1].setdefault("tool_calls", []).append(call)
            elif isinstance(item, CallOutputItem):
                message = {"role": "tool", "content": _text(item.output), "tool_call_id": item.call_id}
                messages.append(message)
            else:
                messages.append({"role": item.role, "content": _text(item.content)})
        return messages

    def input_items(self, response: str) -> list[dict[str, Any]]:
        """The input as items, each with an id."""
        items: list[dict[str, Any]] = [{"type": "message", "role": "user", "content": self.input}]
        if not isinstance(self.input, str):
            items = [item.model_dump(exclude_none=True) for item in self.input]
        for number, item in enumerate(items):
            item.setdefault("id", f"item_{response.removeprefix('resp_')}_{number}")
            if item["type"] == "message" and isinstance(item["content"], str):
                kind = "output_text" if item["role"] == "assistant" else "input_text"
                item["content"] = [{"type": kind, "text": item["content"]}]
        return items

    def chat(self, before: list[dict[str, Any]]) -> ChatRequest:
        """The same request as a chat that goes on from `before`. Raises ApiError for what does not fit."""
        messages = [*before, *self.turns()]
        if self.instructions:
            messages.insert(0, {"role": "system", "content": self.instructions})
        fields: dict[str, Any] = {
            "model": self.model,
            "messages": messages,
            "max_completion_tokens": self.max_output_tokens,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "seed": self.seed,
            "logprobs": LOGPROBS in (self.include or ()),
            "top_logprobs": self.top_logprobs if LOGPROBS in (self.include or ()) else None,
            "response_format": self._format(),
            "tools": [
                {"type": "function", "function": tool.model_dump(exclude={"type"}, exclude_none=True)}
                for tool in self.tools or ()
            ],
            "tool_choice": self.tool_choice,
            "parallel_tool_calls": self.parallel_tool_calls,
        }
        if isinstance(self.tool_choice, ToolChoice):
            fields["tool_choice"] = {"type": "function", "function": {"name": self.tool_choice.name}}
        try:
            return ChatRequest.model_validate(fields)
        except ValidationError as error:
            raise ApiError(400, str(error.errors()[0]["msg"])[:300], param="input") from None

    def _format(self) -> dict[str, Any] | None:
        form = self.text.format if self.text else TextFormat()
        if form.type != "json_schema":
            return None if form.type == "text" else {"type": form.type}
        if form.json_schema is None:
            raise ApiError(400, "json_schema needs a schema", param="text")
        return {"type": "json_schema", "json_schema": {"schema": form.json_schema}}


def _text(content: str | list[ContentPart]) -> str:
    return content if isinstance(content, str) else "\n".join(part.text for part in content)
