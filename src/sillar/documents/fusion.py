"""One score from BM25 and cosine: a convex sum of both, normalised, weighed by whether question and chunk
share a language.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sillar.documents.store.protocol import Candidates


@dataclass(frozen=True, slots=True)
class FusionWeights:
    """Share of BM25 in the fused score. Chosen on development sets; docs/evaluation.md has the table.

    The convex combination of normalised scores rather than of ranks: Bruch, Gai and Ingber, "An Analysis
    of Fusion Functions for Hybrid Retrieval", 2023.
    """

    same_language: float = 0.2
    other_language: float = 0.15
    similarity_span: float = 0.12
    """Cosine distance below the best candidate at which the vector's part reaches 0."""


def fuse(candidates: Candidates, question_language: str, weights: FusionWeights) -> NDArray[np.float32]:
    """Fused scores [candidates], 0..1: BM25 relative to the best, cosine as distance from the best."""
    if not len(candidates.ids):
        return np.zeros(0, np.float32)
    best = float(candidates.bm25.max())
    words = candidates.bm25 / best if best > 0 else np.zeros_like(candidates.bm25)
    distance = float(candidates.similarity.max()) - candidates.similarity
    vector = np.clip(1.0 - distance / weights.similarity_span, 0.0, 1.0)
    share = _share(candidates.languages, question_language, weights) if best > 0 else np.float32(0)
    return np.asarray(share * words + (1.0 - share) * vector, np.float32)


def _share(languages: Sequence[str], question: str, weights: FusionWeights) -> np.float32:
    """One share for all candidates, by the language of most of them: scores of one search stay comparable."""
    same = sum(1 for language in languages if language == question)
    return np.float32(weights.same_language if 2 * same >= len(languages) else weights.other_language)
