"""A second try before a question is refused: asked in the documents' own words, where they have near ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from sillar.documents.document import Passage
from sillar.documents.index import Index
from sillar.documents.language import detect_language
from sillar.documents.near_words import in_words_of
from sillar.documents.store.protocol import Access
from sillar.documents.support import Support, find_support, fits

_MOST = 2
"""Wordings that are tried: each costs a search and the scores of its sentences."""
_ENOUGH = 0.1
"""Support from which a wording is answered: less than of a question as it was asked, for that its words have
near ones in the passage is evidence that the support does not weigh.
"""


async def find_support_reworded(
    asked: str,
    own: str,
    found: list[Passage],
    index: Index,
    vector: NDArray[np.float32],
    read: int,
    access: Access,
) -> tuple[Support, list[Passage]]:
    """The support of `found` for `asked`, as find_support has it; where that is too little, of the wording
    that the passages support best, with what was found for it.

    `own`: what a follow-up asks itself, the end of `asked`. Errors: the index's and the embedder's.
    """
    support = await _support(asked, own, found, index, vector, read, access)
    if support.sufficient or not asked.endswith(own):
        return support, found
    best, best_found = support, found
    for passage, wording in _wordings(own, found[:read]):
        question = asked.removesuffix(own) + wording
        turned = await index.embed_question(question)
        again = await index.search(question, len(found), access, turned)
        other = await _support(question, wording, again, index, turned, read, access)
        if other.probability < _ENOUGH or (best.sufficient and other.probability <= best.probability):
            continue
        first = other.sentences[0]
        if first.passage.chunk_id == passage.chunk_id and fits(own, first):
            best, best_found = replace(other, sufficient=True), again
    return best, best_found


async def _support(
    asked: str,
    own: str,
    found: Sequence[Passage],
    index: Index,
    vector: NDArray[np.float32],
    read: int,
    access: Access,
) -> Support:
    return await find_support(
        asked, found, index.embedder, partial(index.frequencies, access=access), vector,
        read=read, own=own, word_vectors=index.word_vectors,
    )  # fmt: skip


def _wordings(question: str, passages: Sequence[Passage]) -> Iterator[tuple[Passage, str]]:
    """Each passage's wording of the question, the best passages' first; of passages in its language."""
    seen: set[str] = set()
    for passage in passages:
        if detect_language(question, passage.language) != passage.language or len(seen) == _MOST:
            continue
        text = " ".join((*passage.headings, passage.text))
        wording = in_words_of(question, text, passage.language)
        if wording is not None and wording not in seen:
            seen.add(wording)
            yield passage, wording
