"""Streams text out of tokens: a token may end in the middle of a character, the text never does."""

from __future__ import annotations

import codecs
from typing import Protocol


class _Source(Protocol):
    def text_bytes(self, token: int) -> bytes: ...


class IncrementalDecoder:
    """Turns tokens into text one by one, in time linear in the text.

    Control tokens give no text. Bytes that are no UTF-8 become U+FFFD, as soon as that is certain.
    """

    def __init__(self, tokenizer: _Source) -> None:
        self._tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token: int) -> str:
        """The text that this token completes; maybe empty."""
        return self._decoder.decode(self._tokenizer.text_bytes(token))

    def flush(self) -> str:
        """What is left at the end: U+FFFD for a character that was never completed."""
        rest = self._decoder.decode(b"", final=True)
        self._decoder.reset()
        return rest
