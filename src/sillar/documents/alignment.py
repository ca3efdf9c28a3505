"""Words across languages: how much of a question another language's sentences say, word by word.

A question's word and a passage's word mean the same as far as their vectors point the same way, once each
language's mean is taken away (vectors of one language share a direction), or as they are spelled alike
(cognates, names, numbers).
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sillar.documents.interfaces import TextEmbedder
from sillar.documents.language import is_stop_word, words
from sillar.documents.word_lists import COMMON_WORDS, QUESTION_WORDS

_SAME_WORD = (0.35, 0.70)
"""Centred cosine of two words: from where it counts, and from where they mean the same."""
_ALIKE = 0.4
"""Share of trigrams from which two words count as cognates."""
_MOST_WORDS = 400
_KEPT_WORDS = 8192

Frequencies = Callable[[Sequence[str]], Awaitable[tuple[dict[str, int], int]]]
"""Of terms: in how many chunks each occurs, and how many chunks there are."""


@dataclass(frozen=True, slots=True)
class Alignment:
    """Share of the question's words, 0..1, that each sentence and each passage says."""

    sentences: NDArray[np.float64]
    passages: NDArray[np.float64]


class WordVectors:
    """Vectors of single words, the last few thousand kept; one for an index."""

    def __init__(self, embedder: TextEmbedder) -> None:
        self._embedder = embedder
        self._known: OrderedDict[str, NDArray[np.float32]] = OrderedDict()

    async def of(self, wanted: Sequence[str]) -> NDArray[np.float32]:
        """[words, dim]. Errors: the embedder's."""
        missing = [word for word in dict.fromkeys(wanted) if word not in self._known]
        if missing:
            rows = await self._embedder.embed(missing, "query")
            self._known.update(zip(missing, rows, strict=True))
        found = np.array([self._known[word] for word in wanted], np.float32)
        for word in wanted:
            self._known.move_to_end(word)
        while len(self._known) > max(_KEPT_WORDS, len(wanted)):
            self._known.popitem(last=False)
        return found.reshape(len(wanted), self._embedder.dim)


def content_words(text: str) -> list[str]:
    """Folded words that carry meaning, each once."""
    found = dict.fromkeys(words(text))
    return [word for word in found if not is_stop_word(word) and word not in QUESTION_WORDS]


async def align(
    question: str, language: str, passages: Sequence[Sequence[str]], vectors: WordVectors, rarity: Frequencies
) -> Alignment:
    """Aligns the question (in `language`) with the sentences of each passage, in their order."""
    asked = content_words(question) or words(question)
    said = [[content_words(sentence) for sentence in passage] for passage in passages]
    every = list(dict.fromkeys(word for passage in said for sentence in passage for word in sentence))
    every = every[:_MOST_WORDS]
    total = sum(len(passage) for passage in said)
    if not asked or not every:
        return Alignment(np.zeros(total), np.zeros(len(passages)))
    near = await _near(asked, language, every, vectors)
    counts, chunks = await rarity(every)
    weight = np.array([inverse_frequency(counts.get(word, 0), chunks) for word in every])
    place = {word: i for i, word in enumerate(every)}

    def share(sentence: Sequence[str]) -> float:
        columns = [place[word] for word in sentence if word in place]
        if not columns:
            return 0.0
        best = near[:, columns].argmax(axis=1)
        rare = weight[np.array(columns)[best]]
        return float((near[:, columns].max(axis=1) * rare).sum() / rare.sum())

    sentences = [share(sentence) for passage in said for sentence in passage]
    whole = [share([word for sentence in passage for word in sentence]) for passage in said]
    return Alignment(np.array(sentences), np.array(whole))


async def _near(
    asked: Sequence[str], language: str, every: Sequence[str], vectors: WordVectors
) -> NDArray[np.float64]:
    """[asked, every], 0..1: how nearly two words mean the same."""
    usual = sorted(COMMON_WORDS.get(language, ()))
    rows = await vectors.of([*asked, *every, *usual])
    query, document = rows[: len(asked)], rows[len(asked) : len(asked) + len(every)]
    # Function words stand for a language's direction: a question alone has too few words for a mean.
    common = rows[len(asked) + len(every) :] if usual else query
    cosine = _centred(query, common.mean(axis=0)) @ _centred(document, document.mean(axis=0)).T
    low, high = _SAME_WORD
    spelled = np.array([[likeness(one, other) for other in every] for one in asked])
    return np.asarray(np.maximum(np.clip((cosine - low) / (high - low), 0.0, 1.0), spelled), np.float64)


def _centred(rows: NDArray[np.float32], mean: NDArray[np.float32]) -> NDArray[np.float32]:
    moved = rows - mean
    length = np.linalg.norm(moved, axis=1, keepdims=True)
    return np.asarray(moved / np.maximum(length, 1e-6), np.float32)


def likeness(one: str, other: str) -> float:
    """Dice's coefficient of two folded words' trigrams, 0 below what cognates share. Numbers: 1 or 0."""
    if one == other:
        return 1.0
    if one[0] != other[0] and one[0] not in "eh":
        return 0.0
    if min(len(one), len(other)) < 4 or not (one.isalpha() and other.isalpha()):
        return 0.0
    left, right = _trigrams(one), _trigrams(other)
    dice = 2 * len(left & right) / (len(left) + len(right))
    return dice if dice >= _ALIKE else 0.0


def _trigrams(word: str) -> set[str]:
    padded = f"^{word}$"
    return {padded[i : i + 3] for i in range(len(padded) - 2)}


def inverse_frequency(count: int, total: int) -> float:
    """How rare a word is that occurs in `count` of `total` chunks, never below 0, as BM25 weighs it."""
    return math.log(1 + (max(total, count) - count + 0.5) / (count + 0.5))
