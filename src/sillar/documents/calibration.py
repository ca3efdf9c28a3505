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
        "similarity": 10.097,
        "coverage": 3.742,
        "passage_coverage": 2.872,
        "margin": 24.345,
        "said": 23.266,
        "said_margin": 13.351,
        "least_said": 16.031,
        "usually_said": -21.291,
    },
    -28.782,
    -0.68,
)
OTHER_LANGUAGE = Calibration(
    {
        "similarity": 6.511,
        "coverage": 3.028,
        "passage_coverage": -4.18,
        "margin": 23.715,
        "said": 34.976,
        "said_margin": 18.96,
        "least_said": 21.487,
        "usually_said": -31.549,
        "aligned": 3.473,
        "numbers": 1.221,
        "asked_in_spanish": 0.537,
    },
    -29.083,
    -0.76,
)
