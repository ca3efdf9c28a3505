"""How much of a question each sentence says, token by token, in whatever language.

Every token of the question looks for the sentence's token that is nearest to it, both in their contexts: late
interaction, Khattab and Zaharia, "ColBERT", 2020.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_USUAL = 0.74
"""Cosine of a token to the nearest one of any sentence; what few sentences cannot show."""
_USUAL_WEIGHT = 4.0
_USUAL_MARGIN = 0.045
"""How much more the best passage says than the others, where there are none."""


@dataclass(frozen=True, slots=True)
class Interaction:
    """Mean cosine of the question's tokens to the nearest ones, each weighed by how few sentences say it."""

    sentences: NDArray[np.float64]
    """[sentences]"""
    passages: NDArray[np.float64]
    """[passages], each token's nearest in any of the passage's sentences."""
    least: NDArray[np.float64]
    """[passages], the mean over the third of the tokens that the passage says least."""
    usual: float
    """The same mean over all sentences: how much of the question is said anywhere near."""

    def features(self, passage: int) -> dict[str, float]:
        """What the calibration weighs, of one passage."""
        others = np.delete(self.passages, passage)
        said = float(self.passages[passage])
        return {
            "said": said,
            "said_margin": said - float(others.mean()) if len(others) else _USUAL_MARGIN,
            "least_said": float(self.least[passage]),
            "usually_said": self.usual,
        }


def interact(
    question: NDArray[np.float32],
    sentences: Sequence[NDArray[np.float32]],
    passages: Sequence[int],
    counts: NDArray[np.float64] | float = 1.0,
) -> Interaction:
    """`question` and each of `sentences`: [tokens, dim], unit length. `passages`: whose each is, from 0.

    `counts`: how much each of the question's tokens counts.
    """
    count = max(passages, default=-1) + 1
    if not len(question) or not any(len(sentence) for sentence in sentences):
        return Interaction(np.zeros(len(sentences)), np.zeros(count), np.zeros(count), 0.0)
    near = np.array(
        [(question @ rows.T).max(axis=1) if len(rows) else np.zeros(len(question)) for rows in sentences],
        np.float64,
    )
    usual = (near.sum(axis=0) + _USUAL_WEIGHT * _USUAL) / (len(near) + _USUAL_WEIGHT)
    weights = np.clip(1.0 - usual, 1e-3, None) * counts
    weights /= weights.sum()
    whole = np.zeros((count, len(question)))
    for place, row in zip(passages, near, strict=True):
        whole[place] = np.maximum(whole[place], row)
    least = np.sort(whole, axis=1)[:, : max(1, len(question) // 3)].mean(axis=1)
    return Interaction(near @ weights, whole @ weights, least, float(usual.mean()))
