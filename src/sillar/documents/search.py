"""From a question to passages: candidates by words and by vector, fused, near-duplicates folded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from sillar.documents.document import Passage
from sillar.documents.duplicates import fold
from sillar.documents.fusion import FusionWeights, fuse
from sillar.documents.language import detect_language, is_stop_word, stem, words
from sillar.documents.rerank import RerankOptions
from sillar.documents.store.protocol import Access
from sillar.documents.store.sqlite import SqliteStore

_MAX_TERMS = 64


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """How a search is done."""

    candidates: int = 50
    """From BM25 and from vectors, each."""
    weights: FusionWeights = field(default_factory=FusionWeights)
    rerank: RerankOptions = field(default_factory=RerankOptions)
    """Where there is a reranker."""
    duplicate_overlap: float = 0.9
    """Share of common words from which a passage counts as a copy of a better one."""


def query_terms(question: str, languages: Sequence[str]) -> list[list[str]]:
    """For each word of the question that carries meaning: itself and its stems in the languages of the
    index.
    """
    found = list(dict.fromkeys(words(question)))[:_MAX_TERMS]
    kept = [word for word in found if not is_stop_word(word)] or found
    return [list(dict.fromkeys([word, *(stem(word, language) for language in languages)])) for word in kept]


def search(
    store: SqliteStore,
    question: str,
    vector: NDArray[np.float32],
    *,
    k: int,
    access: Access,
    options: SearchOptions,
) -> list[Passage]:
    """The k best passages, best first; blocking."""
    languages = store.languages(access)[:3]
    language = detect_language(question, languages[0] if languages else "en")
    stemmed = list(dict.fromkeys([language, *languages]))
    candidates = store.candidates(query_terms(question, stemmed), vector, options.candidates, access)
    fused = fuse(candidates, language, options.weights)
    order = np.argsort(-fused, kind="stable")[: 3 * k + 10]
    found = store.passages(candidates.ids[order].tolist(), access)
    passages = [
        replace(found[chunk], score=float(fused[i]), similarity=float(candidates.similarity[i]),
                bm25=float(candidates.bm25[i]))
        for i in order
        if (chunk := int(candidates.ids[i])) in found
    ]  # fmt: skip
    overlap = options.duplicate_overlap
    return fold(passages, lambda own, better: len(own & better) >= overlap * max(len(own), len(better)), k)
