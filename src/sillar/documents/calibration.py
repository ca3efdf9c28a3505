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
        "similarity": 8.168,
        "coverage": 3.52,
        "passage_coverage": 3.163,
        "margin": 25.769,
        "said": 23.875,
        "said_margin": 12.07,
        "least_said": 17.216,
        "usually_said": -21.664,
    },
    -28.305,
    -0.63,
)
OTHER_LANGUAGE = Calibration(
    {
        "similarity": 5.879,
        "coverage": 2.761,
        "passage_coverage": -3.966,
        "margin": 21.295,
        "said": 34.658,
        "said_margin": 19.388,
        "least_said": 21.262,
        "usually_said": -29.768,
        "aligned": 3.522,
        "numbers": 1.069,
        "asked_in_spanish": 0.513,
    },
    -29.34,
    -0.64,
)
