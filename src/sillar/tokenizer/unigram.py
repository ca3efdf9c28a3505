"""Unigram (XLM-R, T5): SentencePiece's normalisation, then the likeliest split into pieces (Viterbi).

Source: SentencePiece, unigram_model and normalizer. Why not the tokenizers library: its trie for 250,000
pieces takes seconds, and its normalisation drops characters where one key begins another.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from sillar import _native
from sillar.errors import ModelFormatError
from sillar.tokenizer.sentencepiece import SPACE
from sillar.tokenizer.vocabulary import TokenType, Vocabulary

_LEAF_FLAG, _LABEL = 0x100, 0x800000FF
_MAX_CHARSMAP = 1 << 24
_MAX_KEY_BYTES = 64
_MAX_VISITS = 1 << 20
_WORDS = re.compile(f"(?:{SPACE}?[^{SPACE}]+|{SPACE}){{1,64}}")
"""So many words are split at once: the memory of a split grows with its text."""
_MAX_PIECE = 256
_UNKNOWN_PENALTY = 10.0


class UnigramModel:
    """The "t5" kind of vocabulary."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        unknown = vocabulary.special_id("unknown")
        if unknown is None or not vocabulary.scores:
            raise ModelFormatError("A unigram vocabulary needs scores and an unknown token.")
        self._unknown = unknown
        ids = vocabulary.ids_of(TokenType.NORMAL, TokenType.USER_DEFINED)
        # A split takes the text's length times the longest piece's: a broken file's huge ones are left out.
        pieces = [piece for piece in ids if len(piece) <= _MAX_PIECE]
        if not pieces:
            raise ModelFormatError("The unigram vocabulary has no pieces.")
        tokens = [ids[piece] for piece in pieces]
        scores = [vocabulary.scores[token] for token in tokens]
        self._split = _native.Unigram(pieces, tokens, scores, unknown, min(scores) - _UNKNOWN_PENALTY).split
        self._by_word = re.search(f"[^\0]{SPACE}", "\0".join(pieces)) is None
        self.add_space_prefix = vocabulary.flag("add_space_prefix", True)
        self._squeeze = vocabulary.flag("remove_extra_whitespaces", True)
        self._normalise = Normaliser(vocabulary.metadata.get("tokenizer.ggml.precompiled_charsmap"))

    def encode(self, text: str, first: bool) -> list[int]:
        """Tokens of a text without special tokens; `first`: it starts the text or follows a special token."""
        text = self._normalise(text.replace("\0", ""))
        if self._squeeze:
            text = re.sub(" {2,}", " ", text).strip(" ")
        if not text:
            return []
        text = (SPACE if first and self.add_space_prefix else "") + text.replace(" ", SPACE)
        tokens: list[int] = []
        for segment in _WORDS.findall(text) if self._by_word else [text]:
            found = self._split(segment)
            # One unknown token stands for a whole run of unknown characters.
            repeated = tokens and tokens[-1] == self._unknown == found[0]
            tokens += found[1:] if repeated else found
        return tokens


class Normaliser:
    """SentencePiece's precompiled map: at each place the longest key that fits is replaced."""

    def __init__(self, charsmap: Any) -> None:
        self._table: dict[int, str] = {}
        self._longer: dict[str, list[tuple[str, str]]] = {}
        for key, target in _read_charsmap(charsmap):
            if len(key) == 1:
                self._table[ord(key)] = target
            else:
                self._longer.setdefault(key[0], []).append((key, target))
        for keys in self._longer.values():
            keys.sort(key=lambda pair: -len(pair[0]))
        seconds = {key[1] for keys in self._longer.values() for key, _ in keys}
        self._suspect = re.compile("[" + "".join(map(re.escape, seconds)) + "]") if seconds else None

    def __call__(self, text: str) -> str:
        if self._suspect is None or self._suspect.search(text) is None:
            return text.translate(self._table)
        parts, at = [], 0
        while at < len(text):
            key, target = self._longest(text, at)
            parts.append(target)
            at += len(key)
        return "".join(parts)

    def _longest(self, text: str, at: int) -> tuple[str, str]:
        for key, target in self._longer.get(text[at], ()):
            if text.startswith(key, at):
                return key, target
        return text[at], self._table.get(ord(text[at]), text[at])


def _read_charsmap(charsmap: Any) -> list[tuple[str, str]]:
    """Every key of the double-array trie with its replacement. Raises ModelFormatError."""
    if charsmap is None:
        return []
    try:
        raw = (
            charsmap
            if isinstance(charsmap, bytes)
            else np.array(charsmap, np.int64).astype(np.uint8).tobytes()
        )
        (size,) = struct.unpack_from("<I", raw)
        if len(raw) > _MAX_CHARSMAP or size % 4 or size > len(raw) - 4:
            raise ModelFormatError("The normalisation map's sizes do not fit.")
        units = struct.unpack_from(f"<{size // 4}I", raw, 4)
        found = _walk(units)
        blob = raw[4 + size :]
        return [(key.decode(), blob[start : blob.index(0, start)].decode()) for key, start in found]
    except (struct.error, OverflowError, TypeError, ValueError) as error:
        raise ModelFormatError(f"The normalisation map is malformed: {error}") from error


def _walk(units: Sequence[int]) -> list[tuple[bytes, int]]:
    """(key, place of its replacement) of every path. Subtrees may be shared; a cycle is refused."""
    siblings: dict[int, list[int]] = {}
    labels = np.array(units, np.int64) & _LABEL
    places = np.flatnonzero((labels > 0) & (labels < 256))
    places = places[places > 0]
    for place, parent in zip(places.tolist(), (places ^ labels[places]).tolist(), strict=True):
        siblings.setdefault(parent, []).append(place)
    found: list[tuple[bytes, int]] = []
    stack = [(b"", _children(units[0], 0))] if units else []
    visits = 0
    while stack:
        key, base = stack.pop()
        visits += 1
        if visits > _MAX_VISITS:
            raise ModelFormatError("The normalisation map has too many keys.")
        for position in siblings.get(base, ()):
            unit = units[position]
            below = _children(unit, position)
            word = key + bytes([unit & 0xFF])
            if len(word) > _MAX_KEY_BYTES:
                raise ModelFormatError("The normalisation map has a key that is too long.")
            if unit & _LEAF_FLAG:
                if below >= len(units):
                    raise ModelFormatError("The normalisation map points outside of itself.")
                found.append((word, units[below] & 0x7FFFFFFF))
            stack.append((word, below))
    return found


def _children(unit: int, position: int) -> int:
    return position ^ ((unit >> 10) << ((unit & 0x200) >> 6))
