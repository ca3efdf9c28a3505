"""The vocabulary of a GGUF file, read from its metadata and checked: a model file is hostile input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
    types: NDArray[np.uint8]
    """A TokenType for each token."""
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
        found: dict[str, int] = {}
        for index in np.flatnonzero(np.isin(self.types, types)).tolist():
            found.setdefault(self.tokens[index], index)
        found.pop("", None)
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
    kinds = set(map(type, values))
    texts = list(values)
    if bytes in kinds:
        texts = [value.decode("utf-8", "replace") if isinstance(value, bytes) else value for value in texts]
    if not kinds <= {str, bytes} or max(map(len, texts), default=0) > MAX_TOKEN_BYTES:
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


def _types(metadata: Mapping[str, Any], count: int) -> NDArray[np.uint8]:
    if metadata.get("tokenizer.ggml.token_type") is None:
        return np.full(count, TokenType.NORMAL, np.uint8)
    values = _numbers(metadata, "tokenizer.ggml.token_type", count)
    return np.where(np.isin(values, list(TokenType)), values, TokenType.NORMAL).astype(np.uint8)


def _scores(metadata: Mapping[str, Any], count: int) -> list[float]:
    if metadata.get("tokenizer.ggml.scores") is None:
        return []
    scores: list[float] = _numbers(metadata, "tokenizer.ggml.scores", count).tolist()
    return scores


def _numbers(metadata: Mapping[str, Any], key: str, count: int) -> NDArray[np.float64]:
    """The first `count` numbers of a list. Raises ModelFormatError."""
    values = metadata[key]
    if not isinstance(values, Sequence) or len(values) < count:
        raise ModelFormatError(f"{key} does not fit the tokens.")
    try:
        numbers = np.array(values[:count], np.float64) if set(map(type, values)) <= {int, float} else None
    except OverflowError:
        numbers = None
    if numbers is None or not np.isfinite(numbers).all():
        raise ModelFormatError(f"{key} holds something else than finite numbers.")
    return numbers
