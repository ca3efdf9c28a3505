"""The quality figures: zero for equal distributions, the known divergence for two known ones."""

import numpy as np
import pytest

pytest.importorskip("sillar._native")

from benchmarks import quality


def test_equal_distributions_do_not_diverge():
    logits = np.random.default_rng(0).normal(size=(7, 50)).astype(np.float32)
    tally = quality.Tally()
    tally.add(quality.log_softmax(logits), logits + 3)
    summary = tally.summary()
    assert summary["tokens"] == 7
    assert summary["kl_mean"] == pytest.approx(0, abs=1e-6)
    assert summary["top1"] == 1


def test_a_known_divergence():
    truth = np.log(np.array([[0.5, 0.5], [0.9, 0.1]], dtype=np.float32))
    own = np.log(np.array([[0.25, 0.75], [0.9, 0.1]], dtype=np.float32))
    tally = quality.Tally()
    tally.add(truth, own)
    summary = tally.summary()
    assert summary["kl_mean"] == pytest.approx(0.5 * (0.5 * np.log(2) + 0.5 * np.log(2 / 3)), abs=1e-6)
    assert summary["top1"] == 0.5


def test_the_default_text_is_long_enough():
    assert len(quality.python_reference()) > 4 * 4608
