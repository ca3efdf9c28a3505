"""SentencePiece BPE (Llama 2, Mistral): merges the pair whose piece scores best, leftmost first.

Source: SentencePiece, bpe_model. A heap of candidate pairs over a linked list: n log n in the text's length.
"""

from __future__ import annotations

import heapq
import re
from functools import lru_cache

from sillar.errors import ModelFormatError
from sillar.tokenizer.vocabulary import TokenType, Vocabulary

SPACE = "▁"
_SEGMENT = re.compile(f"{SPACE}*[^{SPACE}]+|{SPACE}+")
_CACHED_SEGMENTS = 1 << 15
_CACHED_LENGTH = 64


class SentencePieceModel:
    """The "llama" kind of vocabulary: pieces with scores, single bytes for what they do not cover."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        if not vocabulary.scores:
            raise ModelFormatError("A SentencePiece vocabulary needs tokenizer.ggml.scores.")
        self._ids = vocabulary.ids_of(TokenType.NORMAL, TokenType.USER_DEFINED)
        self._scores = vocabulary.scores
        self._bytes = byte_ids(vocabulary)
        self._unknown = vocabulary.special_id("unknown")
        self.add_space_prefix = vocabulary.flag("add_space_prefix", True)
        # Where no piece has a space inside, pieces never cross the start of a word.
        self._by_word = not any(SPACE in piece.lstrip(SPACE) for piece in self._ids)
        self._cached = lru_cache(_CACHED_SEGMENTS)(self._merge)

    def encode(self, text: str, first: bool) -> list[int]:
        """Tokens of a text without special tokens; `first`: it starts the text or follows a special token."""
        prefix = SPACE if first and self.add_space_prefix else ""
        text = prefix + text.replace(" ", SPACE)
        if not self._by_word:
            return list(self._merge(text))
        tokens: list[int] = []
        for match in _SEGMENT.finditer(text):
            segment = match.group()
            tokens += self._cached(segment) if len(segment) <= _CACHED_LENGTH else self._merge(segment)
        return tokens

    def _merge(self, text: str) -> tuple[int, ...]:
        whole = self._ids.get(text)
        if whole is not None and len(text) == 1:
            return (whole,)
        pieces: list[str] = list(text)
        left = list(range(-1, len(pieces) - 1))
        right = list(range(1, len(pieces) + 1))
        heap: list[tuple[float, int, str]] = []
        for index in range(len(pieces) - 1):
            self._offer(heap, pieces, index, index + 1)
        while heap:
            _, index, merged = heapq.heappop(heap)
            after = right[index]
            # A candidate is stale when one of its halves has changed since.
            if not pieces[index] or after >= len(pieces) or pieces[index] + pieces[after] != merged:
                continue
            pieces[index], pieces[after] = merged, ""
            right[index] = right[after]
            if right[index] < len(pieces):
                left[right[index]] = index
                self._offer(heap, pieces, index, right[index])
            if left[index] >= 0:
                self._offer(heap, pieces, left[index], index)
        return tuple(token for piece in pieces if piece for token in self._tokens(piece))

    def _offer(self, heap: list[tuple[float, int, str]], pieces: list[str], index: int, after: int) -> None:
        merged = pieces[index] + pieces[after]
        token = self._ids.get(merged)
        if token is not None:
            heapq.heappush(heap, (-self._scores[token], index, merged))

    def _tokens(self, piece: str) -> list[int]:
        token = self._ids.get(piece)
        if token is not None:
            return [token]
        spelled = [self._bytes.get(byte) for byte in piece.encode("utf-8", "replace")]
        if all(byte is not None for byte in spelled):
            return [byte for byte in spelled if byte is not None]
        return [] if self._unknown is None else [self._unknown]


def byte_ids(vocabulary: Vocabulary) -> dict[int, int]:
    """The tokens <0x00> .. <0xFF> by their byte."""
    found = {}
    for text, token in vocabulary.ids_of(TokenType.BYTE).items():
        match = re.fullmatch(r"<0x([0-9A-Fa-f]{2})>", text)
        if match is None:
            raise ModelFormatError(f"The byte token {text!r} names no byte.")
        found[int(match.group(1), 16)] = token
    return found
