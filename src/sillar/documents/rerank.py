"""The first candidates of a search weighed again by a cross-encoder or a language model, where question and
passages are English.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sillar.documents.document import Passage
from sillar.documents.interfaces import TextReranker
from sillar.documents.references import without_references
from sillar.errors import OverloadedError, RequestError

_LETTERS_PER_TOKEN = 4.2  # of English prose, in WordPiece tokens


@dataclass(frozen=True, slots=True)
class RerankOptions:
    """How many passages are read again, and for how long; docs/log.md has what it brings and costs."""

    candidates: int = 3
    seconds: float = 0.5
    """What one question may take: by the speed that the reranker has shown so far, and by the clock."""
    weight: float = 0.05
    """What the reranker's logit counts beside the search's score of 0..1. By its logit alone it harms where
    questions are technical."""
    letters: int = 100_000
    """Of a passage, that are read."""
    gap: float = math.inf
    """Only passages whose score is so near the first one's are read again."""


async def rerank(
    reranker: TextReranker, question: str, passages: Sequence[Passage], options: RerankOptions
) -> list[Passage]:
    """`passages` (best first) with the candidates among the first of them reordered.

    The scores stay in descending order: a passage takes the score of its new place, because what is made of
    the scores was calibrated on the search's own. A question that the reranker does not take now changes
    nothing.
    """
    among = _candidates(reranker, question, passages, options)
    if len(among) < 2:
        return list(passages)
    texts = [_text(question, passages[i])[: options.letters] for i in among]
    try:
        async with asyncio.timeout(None if math.isinf(options.seconds) else options.seconds):
            scores = await reranker.score(question, texts)
    except (RequestError, OverloadedError, TimeoutError):
        return list(passages)
    own = np.array([passages[i].score for i in among], np.float32)
    ordered = list(passages)
    for place, best in zip(among, np.argsort(-(own + options.weight * scores), kind="stable"), strict=True):
        ordered[place] = replace(passages[among[best]], score=passages[place].score)
    return ordered


def _candidates(
    reranker: TextReranker, question: str, passages: Sequence[Passage], options: RerankOptions
) -> list[int]:
    """Places of the English passages that fit the time."""
    found: list[int] = []
    letters = 0
    for place, passage in enumerate(passages[: options.candidates]):
        if passage.language != "en" or passage.score < passages[0].score - options.gap:
            continue
        letters += len(question) + min(len(_text(question, passage)), options.letters)
        if letters / _LETTERS_PER_TOKEN * reranker.token_seconds > options.seconds:
            break
        found.append(place)
    return found


def _text(question: str, passage: Passage) -> str:
    text = without_references(passage.text, question)
    return f"{passage.section}\n{text}" if passage.headings else text
