"""The vocabulary of a GGUF file, read from its metadata and checked: a model file is hostile input."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from sillar.errors import ModelFormatError

MAX_TOKENS = 1 << 22
MAX_TOKEN_BYTES = 1 << 14


class TokenType(IntEnum):
    """GGUF's tokenizer.ggml.token_type."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Tokens by id with their types, scores and special roles."""

    model: str
    """tokenizer.ggml.model: gpt2, llama, t5 or bert."""
    pre: str
    tokens: Sequence[str]
    types: Sequence[TokenType]
    scores: Sequence[float]
    """Empty where the model has none."""
    metadata: Mapping[str, Any]

    @property
    def size(self) -> int:
        return len(self.tokens)

    def special_id(self, role: str) -> int | None:
        """The token of a role ("bos", "eos", "unknown", ...), None where the file names none."""
        value = self.metadata.get(f"tokenizer.ggml.{role}_token_id")
        if value is None:
            return None
        if not isinstance(value, int) or value < 0 or value >= self.size:
            # Files name 2^32 - 1 for "none".
            if value == 0xFFFFFFFF:
                return None
            raise ModelFormatError(f"The {role} token {value!r} is not in the vocabulary of {self.size}.")
        return value

    def flag(self, name: str, default: bool) -> bool:
        """A boolean of tokenizer.ggml.*"""
        value = self.metadata.get(f"tokenizer.ggml.{name}", default)
        if not isinstance(value, bool | int):
            raise ModelFormatError(f"tokenizer.ggml.{name} is not a boolean.")
        return bool(value)

    def ids_of(self, *types: TokenType) -> dict[str, int]:
        """Text to id of the tokens of these types; of doubled texts the first."""
        wanted = set(types)
        found: dict[str, int] = {}
        for index, (text, kind) in enumerate(zip(self.tokens, self.types, strict=True)):
            if kind in wanted and text:
                found.setdefault(text, index)
        return found


def read_vocabulary(metadata: Mapping[str, Any]) -> Vocabulary:
    """Checks the tokenizer's keys in a GGUF's metadata. Raises ModelFormatError."""
    tokens = _texts(metadata, "tokenizer.ggml.tokens")
    if not 0 < len(tokens) <= MAX_TOKENS:
        raise ModelFormatError(f"The model file has {len(tokens)} tokens; 1 to {MAX_TOKENS} are possible.")
    return Vocabulary(
        model=str(metadata.get("tokenizer.ggml.model", "")),
        pre=str(metadata.get("tokenizer.ggml.pre", "default")),
        tokens=tokens,
        types=_types(metadata, len(tokens)),
        scores=_scores(metadata, len(tokens)),
        metadata=metadata,
    )


def _texts(metadata: Mapping[str, Any], key: str) -> list[str]:
    values = metadata.get(key)
    if isinstance(values, str | bytes) or not isinstance(values, Sequence):
        raise ModelFormatError(f"The model file has no list {key}.")
    texts = [value.decode("utf-8", "replace") if isinstance(value, bytes) else value for value in values]
    if not all(isinstance(text, str) and len(text) <= MAX_TOKEN_BYTES for text in texts):
        raise ModelFormatError(f"{key} holds something else than short texts.")
    return texts


def read_merges(metadata: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The merges of a BPE in order of rank."""
    merges = []
    for merge in _texts(metadata, "tokenizer.ggml.merges"):
        # The first piece may begin with a space in vocabularies that are not byte-encoded.
        cut = merge.find(" ", 1)
        if cut < 0 or cut == len(merge) - 1:
            raise ModelFormatError(f"tokenizer.ggml.merges holds {merge!r}, which is no pair.")
        merges.append((merge[:cut], merge[cut + 1 :]))
    return merges


def _types(metadata: Mapping[str, Any], count: int) -> list[TokenType]:
    values = metadata.get("tokenizer.ggml.token_type")
    if values is None:
        return [TokenType.NORMAL] * count
    if not isinstance(values, Sequence) or len(values) < count:
        raise ModelFormatError("tokenizer.ggml.token_type does not fit the tokens.")
    known = {int(kind): kind for kind in TokenType}
    return [known.get(value, TokenType.NORMAL) for value in values[:count]]


def _scores(metadata: Mapping[str, Any], count: int) -> list[float]:
    values = metadata.get("tokenizer.ggml.scores")
    if values is None:
        return []
    if not isinstance(values, Sequence) or len(values) < count:
        raise ModelFormatError("tokenizer.ggml.scores does not fit the tokens.")
    if not all(isinstance(value, int | float) and math.isfinite(value) for value in values):
        raise ModelFormatError("tokenizer.ggml.scores holds something else than finite numbers.")
    return [float(value) for value in values[:count]]
