"""From a question to passages: candidates by words and by vector, fused, near-duplicates folded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sillar.documents.document import Passage, in_context
from sillar.documents.duplicates import fold
from sillar.documents.fusion import FusionWeights, fuse
from sillar.documents.interfaces import TextEmbedder
from sillar.documents.language import detect_language, is_stop_word, other_number, stem, stems, words
from sillar.documents.names import literal_names, share_named
from sillar.documents.references import without_references
from sillar.documents.rerank import RerankOptions
from sillar.documents.store.protocol import Access, Candidates
from sillar.documents.store.sqlite import SqliteStore

_MAX_TERMS = 64
_NAMES_SHARE = 0.2
"""As much as BM25 has where question and passages share a language; see FusionWeights."""


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


class Match(NamedTuple):
    """How well a chunk fits a question."""

    similarity: float
    bm25: float


def query_terms(question: str, languages: Sequence[str]) -> list[list[str]]:
    """For each word of the question that carries meaning: itself, its stems in the languages of the index
    and, in English, its other number where that has another stem.
    """
    found = list(dict.fromkeys(words(question)))[:_MAX_TERMS]
    kept = [word for word in found if not is_stop_word(word)] or found
    forms = other_number if "en" in languages else _no_forms
    return [
        list(dict.fromkeys([word, *(stem(word, language) for language in languages), *forms(word)]))
        for word in kept
    ]


def _no_forms(_: str) -> list[str]:
    return []


def search(
    store: SqliteStore,
    question: str,
    vector: NDArray[np.float32],
    *,
    k: int,
    access: Access,
    options: SearchOptions,
    instead: Mapping[int, Match] | None = None,
) -> list[Passage]:
    """The k best passages, best first; blocking. `instead`: how some chunks match, known better."""
    languages = store.languages(access)[:3]
    language = detect_language(question, languages[0] if languages else "en")
    stemmed = list(dict.fromkeys([language, *languages]))
    candidates = store.candidates(query_terms(question, stemmed), vector, options.candidates, access)
    candidates = _corrected(candidates, instead or {})
    fused = fuse(candidates, language, options.weights)
    order = np.argsort(-fused, kind="stable")[: 3 * k + 10]
    found = store.passages(candidates.ids[order].tolist(), access)
    passages = [
        replace(found[chunk], score=float(fused[i]), similarity=float(candidates.similarity[i]),
                bm25=float(candidates.bm25[i]))
        for i in order
        if (chunk := int(candidates.ids[i])) in found
    ]  # fmt: skip
    passages = _named_first(passages, literal_names(question))
    overlap = options.duplicate_overlap
    return fold(passages, lambda own, better: len(own & better) >= overlap * max(len(own), len(better)), k)


def _named_first(passages: Sequence[Passage], names: Sequence[str]) -> list[Passage]:
    """What a question names literally counts as its other words together do, where any passage has it."""
    shares = [share_named(passage.text, names) for passage in passages] if names else []
    if not any(shares):
        return list(passages)
    scored = [
        replace(passage, score=(1 - _NAMES_SHARE) * passage.score + _NAMES_SHARE * share)
        for passage, share in zip(passages, shares, strict=True)
    ]
    return sorted(scored, key=lambda passage: -passage.score)


def _corrected(candidates: Candidates, instead: Mapping[int, Match]) -> Candidates:
    similarity, bm25 = candidates.similarity.copy(), candidates.bm25.copy()
    for place, chunk in enumerate(candidates.ids.tolist()):
        if chunk in instead:
            similarity[place], bm25[place] = instead[chunk]
    return replace(candidates, similarity=similarity, bm25=bm25)


async def matches_without_references(
    question: str, vector: NDArray[np.float32], passages: Sequence[Passage], embedder: TextEmbedder
) -> dict[int, Match]:
    """By chunk: how passages that quote the question match it by what else they say; `vector`: the
    question's.

    BM25 is taken by the share of the question's words that are left. Errors: the embedder's.
    """
    left = [(passage, rest) for passage in passages
            if (rest := without_references(passage.text, question)) is not passage.text]  # fmt: skip
    if not left:
        return {}
    texts = [in_context(passage.title, passage.headings, rest) for passage, rest in left]
    similarity = (await embedder.embed(texts, "passage")) @ vector
    return {
        passage.chunk_id: Match(float(cosine), passage.bm25 * _share_left(question, passage, rest))
        for (passage, rest), cosine in zip(left, similarity, strict=True)
    }


def _share_left(question: str, passage: Passage, rest: str) -> float:
    terms = [set(term) for term in query_terms(question, [passage.language])]
    context = " ".join((passage.title, *passage.headings))
    whole, parts = ({*words(text), *stems(text, passage.language)} for text in (
        f"{context} {passage.text}", f"{context} {rest}"))  # fmt: skip
    said = sum(not term.isdisjoint(whole) for term in terms)
    return sum(not term.isdisjoint(parts) for term in terms) / said if said else 1.0
