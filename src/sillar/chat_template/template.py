"""A model's chat template: from the GGUF's metadata, or a default, rendered in the sandbox."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

from sillar.chat_template.defaults import default_template
from sillar.chat_template.sandbox import RefusedError, Sandbox
from sillar.errors import ModelFormatError

MAX_TEMPLATE = 1 << 20
Message = Mapping[str, Any]
_shared = Sandbox()


class ChatTemplate:
    """Turns messages ({"role", "content", ...}) into the text that the model expects.

    `name` is "file" for a template of the model's own; for a default one "chatml", "llama-3", "llama-2" or
    "plain" (see defaults.py for which model gets which).
    """

    def __init__(
        self,
        source: str,
        *,
        name: str = "file",
        tool_source: str | None = None,
        bos_token: str = "",
        eos_token: str = "",
        sandbox: Sandbox | None = None,
    ) -> None:
        if len(source) > MAX_TEMPLATE or len(tool_source or "") > MAX_TEMPLATE:
            raise ModelFormatError(f"The chat template is longer than {MAX_TEMPLATE} characters.")
        self.name = name
        self.source = source
        self.tool_source = tool_source
        self.bos_token, self.eos_token = bos_token, eos_token
        self._sandbox = sandbox or _shared

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any], *, sandbox: Sandbox | None = None) -> Self:
        """The template of a GGUF's metadata, or a default. Raises ModelFormatError."""
        source = metadata.get("tokenizer.chat_template")
        tool_source = metadata.get("tokenizer.chat_template.tool_use")
        name = "file"
        if source is None:
            name, source = default_template(metadata)
        if not isinstance(source, str) or not isinstance(tool_source, str | None):
            raise ModelFormatError("tokenizer.chat_template is not a text.")
        return cls(
            source,
            name=name,
            tool_source=tool_source,
            bos_token=_token(metadata, "bos"),
            eos_token=_token(metadata, "eos"),
            sandbox=sandbox,
        )

    def render(
        self,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, Any]] | None = None,
        add_generation_prompt: bool = True,
        **variables: Any,
    ) -> str:
        """The text of a conversation, ready for the assistant's turn unless `add_generation_prompt` is False.

        `tools` are JSON schemas of functions; `variables` reach the template as they are (enable_thinking
        and the like). Control tokens inside the messages are not neutralised here: `encode_chat` does that.
        A template that refuses a system message is tried again with it in front of the first question.
        Raises TemplateError when the template fails, refuses the messages or exceeds its limits.
        """
        source = self.tool_source if tools and self.tool_source else self.source
        values = {
            "bos_token": self.bos_token,
            "eos_token": self.eos_token,
            **variables,
            "add_generation_prompt": add_generation_prompt,
            # Templates are written for a caller that always names these two.
            "tools": [dict(tool) for tool in tools] if tools else None,
            "documents": variables.get("documents"),
        }
        plain = [dict(message) for message in messages]
        try:
            return self._sandbox.render(source, {**values, "messages": plain})
        except RefusedError:
            folded = _fold_system(plain)
            if folded is None:
                raise
            return self._sandbox.render(source, {**values, "messages": folded})


def _fold_system(messages: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
    """The system message put in front of the first question, for families that know no such role."""
    if len(messages) < 2 or messages[0].get("role") != "system" or messages[1].get("role") != "user":
        return None
    system, question = messages[0].get("content"), messages[1].get("content")
    if not isinstance(system, str) or not isinstance(question, str):
        return None
    return [{**messages[1], "content": f"{system}\n\n{question}"}, *messages[2:]]


def _token(metadata: Mapping[str, Any], role: str) -> str:
    tokens = metadata.get("tokenizer.ggml.tokens")
    index = metadata.get(f"tokenizer.ggml.{role}_token_id")
    if not isinstance(tokens, Sequence) or not isinstance(index, int) or not 0 <= index < len(tokens):
        return ""
    return str(tokens[index])
