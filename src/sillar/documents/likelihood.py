"""How likely a passage makes its question, by the language model that is there anyway: a second look at
passages that the search finds nearly equal.

Query likelihood: Ponte and Croft, "A Language Modeling Approach to Information Retrieval", 1998; by a
pretrained model: Sachan et al., "Improving Passage Retrieval with Zero-Shot Question Generation", 2022.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sillar.documents.rerank import RerankOptions

CLOSE = RerankOptions(candidates=3, weight=0.01, gap=0.1, letters=540)
"""How the search's first passages are read again; docs/log.md has what it brings and costs."""
_ASK = "Write the question that this text answers.\n\n"
_MOST = 2.0
"""Nats that one token may speak for or against a passage: a name that only one says must not decide alone."""


class ScoringModel(Protocol):
    """What is needed of a language model."""

    def prompt_seconds(self) -> float: ...

    async def score_answers(
        self, conversations: Sequence[Sequence[dict[str, str]]], answer: str, *, tenant: str = ""
    ) -> NDArray[np.float32]: ...


class QuestionLikelihood:
    """A language model as a TextReranker."""

    def __init__(self, model: ScoringModel, tenant: str = "") -> None:
        self._model = model
        self._tenant = tenant

    @property
    def token_seconds(self) -> float:
        """What a token would take now."""
        return self._model.prompt_seconds()

    async def score(self, query: str, documents: Sequence[str]) -> NDArray[np.float32]:
        """[documents]: nats by which a document makes the query likelier than the documents do on average.

        Raises RequestError for a query that is too long, OverloadedError where the model has too much to do.
        """
        asked = [[{"role": "user", "content": _ASK + text}] for text in documents]
        tokens = await self._model.score_answers(asked, query, tenant=self._tenant)
        return np.asarray(np.clip(tokens - tokens.mean(axis=0), -_MOST, _MOST).sum(axis=1), np.float32)
