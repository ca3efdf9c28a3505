"""A codec for the fake stepper's 101 tokens: control tokens, halves of characters, letters, words."""

from __future__ import annotations

import codecs
from collections.abc import Mapping, Sequence
from typing import Any

from sillar.engine.codec import Message
from sillar.errors import TemplateError

BOS, USER, ASSISTANT, EOS = 0, 1, 2, 3
_WORDS = [b"\xc3", b"\xa9", b"?", b"\n", *(bytes([c]) for c in range(32, 127) if c != ord("?"))]
PIECES = dict(enumerate(_WORDS[:97], start=4))
_BY_CHARACTER = {piece.decode(): token for token, piece in PIECES.items() if token > 5}


class FakeDecoder:
    """UTF-8, a whole character at a time."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token: int) -> str:
        return self._decoder.decode(PIECES.get(token, b""))

    def flush(self) -> str:
        return self._decoder.decode(b"", final=True)


class FakeCodec:
    """A character a token; é takes two; what is unknown becomes a question mark."""

    eos_ids = frozenset({EOS})
    vocab_size = 101
    template_source = ""
    control_tokens = {BOS: "<bos>", USER: "<user>", ASSISTANT: "<assistant>", EOS: "<eos>"}  # noqa: RUF012
    bos_token, eos_token = "<bos>", "<eos>"

    def encode(self, text: str) -> list[int]:
        return [BOS, *self._plain(text)]

    def encode_text(self, text: str) -> list[int]:
        return self._plain(text)

    def encode_chat(
        self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] | None = None
    ) -> list[int]:
        out = [BOS]
        for message in messages:
            if message["role"] not in {"system", "user", "assistant", "tool"}:
                raise TemplateError(f"no such role: {message['role']}")
            out += [ASSISTANT if message["role"] == "assistant" else USER, *self._plain(message["content"])]
        return [*out, ASSISTANT]

    def decoder(self) -> FakeDecoder:
        return FakeDecoder()

    def token_bytes(self, token: int) -> bytes:
        return PIECES.get(token, b"")

    def _plain(self, text: str) -> list[int]:
        out: list[int] = []
        for character in text:
            out += [4, 5] if character == "é" else [_BY_CHARACTER.get(character, 6)]
        return out


def text_of(tokens: Sequence[int]) -> str:
    """The text of tokens, all at once."""
    return b"".join(PIECES.get(t, b"") for t in tokens).decode("utf-8", "replace")
