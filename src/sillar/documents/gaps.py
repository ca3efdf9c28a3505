"""What the documents lack: unanswered questions in groups that ask the same, in whatever language.

Average-link clustering of the questions' vectors, each language's usual direction taken away: two languages'
vectors lie apart, and all of one language's lie near each other. docs/evaluation.md has the figures.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sillar.documents.interfaces import TextEmbedder

Vector = NDArray[np.float32]

SAME_QUESTION = 0.92
"""Mean cosine from which questions ask the same where nothing is known of their language."""
SAME_GAP = 0.34
"""The same, of vectors with their language's usual direction taken away."""
_PRIOR = 24
"""How many questions the usual direction weighs beside those that were asked."""
_MOST_QUESTIONS = 1000
_MOST_WORDINGS = 5

EVERYDAY = {
    "en": (
        "How do I do this?", "What is this?", "Where can I find more information?", "When is it open?",
        "Who is responsible for this?", "Why does it not work?", "How much does it cost?",
        "Can I change this later?", "Which one should I use?", "How long does it take?",
        "Is it possible to use this?", "Does it work with this?",
        "What should I do if there is a problem?", "How many are there?", "What happens after that?",
        "Do I need this?",
    ),
    "es": (
        "¿Cómo hago esto?", "¿Qué es esto?", "¿Dónde puedo encontrar más información?",
        "¿Cuándo está abierto?", "¿Quién es el responsable de esto?", "¿Por qué no funciona?",
        "¿Cuánto cuesta?", "¿Puedo cambiar esto más tarde?", "¿Cuál debo usar?", "¿Cuánto tarda?",
        "¿Es posible usar esto?", "¿Funciona con esto?", "¿Qué debo hacer si hay un problema?",
        "¿Cuántos hay?", "¿Qué pasa después?", "¿Necesito esto?",
    ),
}  # fmt: skip
"""Questions about nothing: what their vectors share is the language and that they ask."""


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A question without a good answer: its language, unit vector [dim], and the documents nearest to it."""

    question: str
    language: str
    vector: Vector | None
    documents: Sequence[str]


@dataclass(frozen=True, slots=True)
class Gap:
    """Questions that ask the same and were not answered, or were voted down."""

    question: str
    """The wording that is nearest to all the others; of several the latest."""
    count: int
    documents: Sequence[str]
    """Nearest to the questions, best first."""
    wordings: Sequence[str]
    """Some others, the latest first."""


async def usual_directions(embedder: TextEmbedder) -> dict[str, Vector]:
    """For each language the mean vector [dim] of everyday questions. Errors: the embedder's."""
    return {
        language: np.asarray((await embedder.embed(questions, "query")).mean(axis=0), np.float32)
        for language, questions in EVERYDAY.items()
    }


def find_gaps(asked: Sequence[Unanswered], usual: Mapping[str, Vector], most: int = 50) -> list[Gap]:
    """The `most` largest groups of the latest thousand different questions.

    `asked`: the latest first. `usual`: see usual_directions; empty where the embedder is not at hand.
    """
    same_words: dict[str, list[Unanswered]] = defaultdict(list)
    for one in asked:
        same_words[" ".join(one.question.casefold().split())].append(one)
    different = list(same_words.values())[:_MOST_QUESTIONS]
    found = []
    for members in group([wordings[0] for wordings in different], usual):
        leader = different[members[0]][0].question
        rest = [different[i] for i in members]
        others = sorted(members[1:])
        found.append(
            Gap(leader, sum(len(each) for each in rest), _nearest([one for each in rest for one in each]),
                [different[i][0].question for i in others[:_MOST_WORDINGS]])
        )  # fmt: skip
    return sorted(found, key=lambda gap: -gap.count)[:most]


def group(asked: Sequence[Unanswered], usual: Mapping[str, Vector]) -> list[list[int]]:
    """Places in `asked` of questions that ask the same; in a group the one nearest to the others first."""
    groups: list[list[int]] = []
    by_size: dict[int, list[int]] = defaultdict(list)
    for i, one in enumerate(asked):
        if one.vector is None:
            groups.append([i])
        else:
            by_size[len(one.vector)].append(i)
    for size, places in by_size.items():
        known = {language: mean for language, mean in usual.items() if len(mean) == size}
        vectors = np.array([asked[i].vector for i in places], np.float32)
        if known:
            vectors = _centred(vectors, [asked[i].language for i in places], known)
        similarity = vectors @ vectors.T
        for members in average_link(similarity, SAME_GAP if known else SAME_QUESTION):
            near = similarity[np.ix_(members, members)].mean(axis=1).round(4)
            members.sort(key=dict(zip(members, (-near).tolist(), strict=True)).__getitem__)
            groups.append([places[i] for i in members])
    return groups


def average_link(similarity: Vector, threshold: float) -> list[list[int]]:
    """Clusters of mean similarity [n, n] of at least `threshold`, the nearest two joined again and again."""
    near = similarity.astype(np.float32)
    np.fill_diagonal(near, -np.inf)
    clusters = [[i] for i in range(len(near))]
    while clusters:
        one, other = np.unravel_index(int(near.argmax()), near.shape)
        if near[one, other] < threshold:
            break
        first, second = len(clusters[one]), len(clusters[other])
        near[one] = (first * near[one] + second * near[other]) / (first + second)
        near[:, one] = near[one]
        near[one, one] = near[other] = near[:, other] = -np.inf
        clusters[one] += clusters[other]
        clusters[other] = []
    return [sorted(cluster) for cluster in clusters if cluster]


def _centred(vectors: Vector, languages: Sequence[str], usual: Mapping[str, Vector]) -> Vector:
    """Without what a language's questions share: the usual direction, and what was asked, weighed."""
    moved = vectors.copy()
    spoken = np.array(languages)
    for language in set(languages):
        mine = spoken == language
        prior = usual.get(language, next(iter(usual.values())))
        moved[mine] -= (_PRIOR * prior + vectors[mine].sum(axis=0)) / (_PRIOR + mine.sum())
    length = np.linalg.norm(moved, axis=1, keepdims=True)
    return np.asarray(moved / np.maximum(length, 1e-6), np.float32)


def _nearest(asked: Sequence[Unanswered], most: int = 3) -> list[str]:
    """The documents that stand first most often, each place counting the less the later it is."""
    weight: dict[str, float] = defaultdict(float)
    for one in asked:
        for place, document in enumerate(dict.fromkeys(one.documents), 1):
            weight[document] += 1 / place
    return sorted(weight, key=lambda document: -weight[document])[:most]
