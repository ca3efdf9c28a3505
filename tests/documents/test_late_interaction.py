"""Late interaction: each token of a question finds its nearest; what every sentence says counts little."""

from __future__ import annotations

import numpy as np
import pytest

from sillar.documents.late_interaction import interact

ONE = np.eye(6, dtype=np.float32)


def test_the_sentence_that_says_more_of_the_question_says_it_best() -> None:
    found = interact(ONE[:3], [ONE[[0, 1, 4]], ONE[[2, 5]], ONE[[3]]], [0, 0, 1])
    assert found.sentences[0] > found.sentences[1] > found.sentences[2]
    assert found.passages[0] == pytest.approx(1.0)  # its two sentences together say everything
    assert found.passages[1] == 0.0
    assert found.features(0)["said_margin"] == pytest.approx(1.0)


def test_what_every_sentence_says_counts_less_than_what_only_one_says() -> None:
    common, rare = ONE[0], ONE[1]
    others = [common[None]] * 20
    found = interact(np.array([common, rare]), [common[None], rare[None], *others], list(range(22)))
    assert found.sentences[1] > 0.7
    assert found.sentences[0] < 0.3


def test_tokens_that_count_little_decide_little() -> None:
    carried, own = ONE[:2], ONE[2:3]
    counts = np.array([0.1, 0.1, 1.0])
    found = interact(ONE[:3], [carried, own], [0, 1], counts)
    assert found.sentences[1] > 0.8
    assert found.sentences[0] < 0.2
    assert interact(ONE[:3], [carried, own], [0, 1]).sentences.argmax() == 0


def test_the_least_said_third_shows_what_is_missing() -> None:
    whole = interact(ONE[:3], [ONE[:3]], [0]).features(0)
    partly = interact(ONE[:3], [ONE[:2]], [0]).features(0)
    assert whole["least_said"] == pytest.approx(1.0)
    assert partly["least_said"] == 0.0


def test_nothing_to_compare_is_no_error() -> None:
    empty = np.zeros((0, 6), np.float32)
    assert interact(empty, [ONE[:2]], [0]).features(0)["said"] == 0.0
    assert interact(ONE[:2], [empty], [0]).features(0)["said"] == 0.0
    assert interact(ONE[:2], [], []).sentences.shape == (0,)
    half = interact(ONE[:2], [empty, ONE[:1]], [0, 1])
    assert half.sentences[0] == 0.0 < half.sentences[1]
