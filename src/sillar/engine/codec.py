"""What the engine needs of a tokenizer and a chat template: text in, tokens out, and back in pieces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

Message = Mapping[str, Any]
"""{"role": ..., "content": ...} and what else the model's template reads."""


class Decoder(Protocol):
    """Tokens to text, one by one, never half a character."""

    def push(self, token: int) -> str: ...

    def flush(self) -> str: ...


class Codec(Protocol):
    """Between text and one model's tokens. Used by several threads."""

    @property
    def eos_ids(self) -> frozenset[int]: ...

    @property
    def vocab_size(self) -> int: ...

    @property
    def template_source(self) -> str:
        """The chat template itself: which formats it knows can be read from it."""
        ...

    @property
    def control_tokens(self) -> Mapping[int, str]:
        """Tokens of the model's protocol and their names."""
        ...

    @property
    def bos_token(self) -> str:
        """The begin token's name; empty for a model without one."""
        ...

    @property
    def eos_token(self) -> str:
        """The name of the token that ends a text; empty for a model without one."""
        ...

    def encode(self, text: str) -> list[int]:
        """A plain prompt's tokens, with the model's begin token if it has one."""
        ...

    def encode_text(self, text: str) -> list[int]:
        """The tokens of a piece of text, without begin or end tokens."""
        ...

    def encode_chat(
        self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] | None = None
    ) -> list[int]:
        """A conversation's tokens up to where the assistant's answer begins.

        Control tokens inside message text stay text. Raises TemplateError.
        """
        ...

    def decoder(self) -> Decoder:
        """A fresh incremental decoder."""
        ...

    def token_bytes(self, token: int) -> bytes:
        """What a token stands for; empty for control tokens."""
        ...
