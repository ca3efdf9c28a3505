"""How sure it is that passages answer a question: logistic regressions, one for each pairing of languages.

Written by `python -m evaluations.calibrate --write`; docs/evaluation.md has the figures and the commands.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Calibration:
    """The logit of "the passages answer this": weights of features by name, and a bias."""

    weights: Mapping[str, float]
    bias: float
    threshold: float
    """Logit below which an answer is refused."""

    def logit(self, features: Mapping[str, float]) -> float:
        """Every weighed feature must be there."""
        return self.bias + sum(weight * features[name] for name, weight in self.weights.items())


def probability(logit: float) -> float:
    """0..1."""
    return 1.0 / (1.0 + math.exp(-max(-60.0, min(60.0, logit))))


SAME_LANGUAGE = Calibration(
    {
        "similarity": 34.991,
        "coverage": 4.16,
        "passage_coverage": 4.468,
        "margin": 36.849,
    },
    -35.473,
    -0.77,
)
OTHER_LANGUAGE = Calibration(
    {
        "similarity": 30.538,
        "coverage": 3.173,
        "passage_coverage": -4.025,
        "margin": 73.755,
        "usual_similarity": -26.121,
        "lead": -43.674,
        "aligned": 5.287,
        "reverse_similarity": 42.225,
        "numbers": 1.464,
    },
    -42.668,
    -0.74,
)
