"""Unanswered questions are grouped by what they ask, across languages, and name the nearest documents."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from evaluations.gaps import pairwise
from sillar.documents.gaps import Unanswered, average_link, find_gaps

USUAL = {"en": np.array([1, 0, 0, 0], np.float32), "es": np.array([0, 1, 0, 0], np.float32)}


def ask(question: str, language: str, subject: int | None, documents: tuple[str, ...] = ()) -> Unanswered:
    """A question whose vector is its language's direction and a little of its subject."""
    if subject is None:
        return Unanswered(question, language, None, documents)
    vector = USUAL[language] + 0.2 * np.eye(4, dtype=np.float32)[subject]
    return Unanswered(question, language, vector / np.linalg.norm(vector), documents)


def test_two_languages_meet_in_one_group_and_another_subject_does_not() -> None:
    asked = [
        ask("Where is the key?", "en", 2, ("keys.pdf", "doors.pdf")),
        ask("Who pays?", "en", 3, ("money.pdf",)),
        ask("¿Dónde está la llave?", "es", 2, ("doors.pdf",)),
        ask("where  is the KEY?", "en", 2, ("doors.pdf",)),
        ask("¿Quién paga?", "es", 3),
    ]
    first, second = find_gaps(asked, USUAL)
    assert {first.question, *first.wordings} == {"Where is the key?", "¿Dónde está la llave?"}
    assert (first.count, second.count) == (3, 2)
    assert first.documents == ["doors.pdf", "keys.pdf"]
    assert find_gaps(asked, USUAL, most=1) == [first]


def test_without_a_vector_only_the_same_words_are_one_question() -> None:
    asked = [ask("Who pays?", "en", None), ask("who pays? ", "en", None), ask("Who is paying?", "en", None)]
    assert sorted(gap.count for gap in find_gaps(asked, USUAL)) == [1, 2]
    assert find_gaps([], USUAL) == []


def test_vectors_of_an_embedder_of_another_size_are_grouped_apart() -> None:
    other = Unanswered("Key?", "en", np.array([1, 0], np.float32), ())
    third = Unanswered("Key location?", "fr", np.array([1, 0], np.float32), ())
    gaps = find_gaps([ask("Where is the key?", "en", 2), other, third], USUAL)
    assert sorted(gap.count for gap in gaps) == [1, 2]


@given(st.integers(0, 12), st.integers(0, 1000))
def test_every_question_is_in_one_group(n: int, seed: int) -> None:
    vectors = np.random.default_rng(seed).normal(size=(n, 3)).astype(np.float32)
    clusters = average_link(vectors @ vectors.T, 0.5)
    assert sorted(i for cluster in clusters for i in cluster) == list(range(n))


def test_pairs_are_counted() -> None:
    assert pairwise([[0, 1], [2, 3]], [0, 0, 1, 1]) == (1.0, 1.0, 1.0)
    assert pairwise([[0, 1, 2]], [0, 0, 1]) == (1 / 3, 1.0, 0.5)
    assert pairwise([[0], [1]], [0, 1]) == (1.0, 1.0, 1.0)
