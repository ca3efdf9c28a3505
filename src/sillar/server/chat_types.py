"""The body of /v1/chat/completions."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from sillar.server.types import MAX_TOKENS, MAX_TOP_LOGPROBS, GenerationRequest, Text

_REFUSED = {
    "audio": "the models here write text only",
    "modalities": "the models here write text only",
    "prediction": "prompt lookup finds repeated text by itself",
    "web_search_options": "this server reaches no other network",
    "reasoning_effort": "the models here have no such control",
    "verbosity": "the models here have no such control",
    "moderation": "there is no moderation model here",
    "prompt_cache_options": "prefixes are found by their content",
    "prompt_cache_retention": "prefixes are found by their content",
    "functions": "replaced by tools",
    "function_call": "replaced by tool_choice",
}


class TextPart(BaseModel):
    """A piece of a message."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["text"]
    text: Text


class FunctionCall(BaseModel):
    """What the assistant called before."""

    name: Annotated[str, Field(max_length=128)]
    arguments: Text


class ToolCall(BaseModel):
    """A call in the conversation so far."""

    id: Annotated[str, Field(max_length=128)]
    type: Literal["function"] = "function"
    function: FunctionCall


class ChatMessage(BaseModel):
    """One turn of a conversation."""

    model_config = ConfigDict(extra="ignore")

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Annotated[Text | list[TextPart] | None, Field(max_length=None)] = None
    name: Annotated[str | None, Field(max_length=128)] = None
    tool_calls: Annotated[list[ToolCall] | None, Field(max_length=64)] = None
    tool_call_id: Annotated[str | None, Field(max_length=128)] = None

    def plain(self) -> dict[str, Any]:
        """As chat templates read it."""
        content = self.content
        if isinstance(content, list):
            content = "\n".join(part.text for part in content)
        role = "system" if self.role == "developer" else self.role
        message: dict[str, Any] = {"role": role, "content": content or ""}
        if self.tool_calls:
            message["tool_calls"] = [call.model_dump() for call in self.tool_calls]
        if self.tool_call_id is not None:
            message["tool_call_id"] = self.tool_call_id
        if self.name is not None:
            message["name"] = self.name
        return message


class ResponseFormat(BaseModel):
    """text, or JSON of any shape, or of a schema's, or text of a regular expression's."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["text", "json_object", "json_schema", "regex"]
    json_schema: dict[str, Any] | None = None
    pattern: Annotated[str | None, Field(max_length=10_000, description="Ours, with type 'regex'.")] = None


class FunctionSpec(BaseModel):
    """A function that the model may call."""

    name: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[a-zA-Z0-9_.-]+$")]
    description: Annotated[str | None, Field(max_length=10_000)] = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class Tool(BaseModel):
    """A tool; functions are the only kind."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["function"]
    function: FunctionSpec


class NamedFunction(BaseModel):
    """The function that a choice names."""

    name: Annotated[str, Field(max_length=128)]


class NamedTool(BaseModel):
    """A choice of one tool."""

    type: Literal["function"]
    function: NamedFunction


class ChatRequest(GenerationRequest):
    """OpenAI's chat completion request."""

    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=4096)]
    max_completion_tokens: Annotated[int | None, Field(ge=1, le=MAX_TOKENS)] = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int | None, Field(ge=0, le=MAX_TOP_LOGPROBS)] = None
    response_format: ResponseFormat | None = None
    tools: Annotated[list[Tool] | None, Field(max_length=128)] = None
    tool_choice: Literal["none", "auto", "required"] | NamedTool | None = None
    parallel_tool_calls: bool | None = None

    @classmethod
    def refusals(cls) -> dict[str, str]:
        return _REFUSED
