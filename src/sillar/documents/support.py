"""Which sentences of the passages answer a question, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sillar.documents.document import Passage
from sillar.documents.interfaces import TextEmbedder
from sillar.documents.language import detect_language, stem, words
from sillar.documents.search import query_terms
from sillar.documents.sentences import spans

_MOST_SENTENCES = 32
_SAME_QUESTION = (0.88, 0.96)
"""Cosine of a question and a heading: from where it counts, and from where it asks the same."""
_HEADING_LOGIT = 4.0
"""What a heading that asks the question adds to the logit of support."""
_USUAL_MARGIN = 0.035
"""Similarity of the best passage above the others', where there are no others to compare with."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Logistic regression: logit of "the passages answer this", from retrieval and the best sentence.

    Fitted on XQuAD development questions with and without their paragraph; docs/evaluation.md has the
    risk-coverage figures and the commands.
    """

    sentence_similarity: float
    sentence_coverage: float
    passage_coverage: float
    margin: float
    bias: float
    threshold: float
    """Logit below which an answer is refused."""


SAME_LANGUAGE = Calibration(32.2, 3.7, 4.35, 34.75, -32.73, -0.8)
OTHER_LANGUAGE = Calibration(44.0, 2.4, 0.57, 42.3, -37.24, -1.1)


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of a passage: `passage.text[start:end]`."""

    passage: Passage
    start: int
    end: int
    score: float = 0.0

    @property
    def text(self) -> str:
        return self.passage.text[self.start : self.end]


@dataclass(frozen=True, slots=True)
class Support:
    """Sentences ranked by how well they answer, and the probability that the best one does."""

    sentences: Sequence[Sentence]
    probability: float
    sufficient: bool


Frequencies = Callable[[Sequence[str]], Awaitable[tuple[dict[str, int], int]]]
"""Of terms: in how many chunks each occurs, and how many chunks there are."""


def split_passages(passages: Sequence[Passage]) -> list[Sentence]:
    """Sentences, best passage first, bounded in number; a fragment of a word or two joins the next."""
    sentences: list[Sentence] = []
    for passage in passages:
        pending: int | None = None
        for start, end in spans(passage.text):
            begin = start if pending is None else pending
            if len(passage.text[begin:end].split()) < 3 and end < len(passage.text):
                pending = begin
                continue
            sentences.append(Sentence(passage, begin, end))
            pending = None
    return sentences[:_MOST_SENTENCES]


async def find_support(
    question: str,
    passages: Sequence[Passage],
    embedder: TextEmbedder,
    frequencies: Frequencies,
    vector: NDArray[np.float32],
) -> Support:
    """Scores the sentences of `passages` (best first); `vector`: the question's. Errors: the embedder's."""
    sentences = split_passages(passages)
    if not sentences:
        return Support((), 0.0, False)
    headings = [passage.headings[-1] if passage.headings else "" for passage in passages]
    texts = [sentence.text for sentence in sentences] + [heading for heading in headings if heading]
    similarity = (await embedder.embed(texts, "passage")) @ vector
    asked = _headings_that_ask(
        headings, similarity[len(sentences) :], [s.passage for s in sentences], passages
    )
    similarity = similarity[: len(sentences)]
    terms = _Terms(question, passages)
    await terms.weigh(frequencies)
    coverage = np.array([terms.coverage(sentence.text, sentence.passage.language) for sentence in sentences])
    fused = np.array([sentence.passage.score for sentence in sentences])
    same = sentences[0].passage.language == terms.language
    words_share = 0.5 if same else 0.15
    scores = (1 - words_share) * (similarity - 0.8) / 0.08 + 2 * words_share * coverage + fused + asked
    order = np.argsort(-scores, kind="stable")
    best = int(order[0])
    top = sentences[best].passage
    calibration = SAME_LANGUAGE if top.language == terms.language else OTHER_LANGUAGE
    logit = (
        calibration.sentence_similarity * float(similarity[best])
        + calibration.sentence_coverage * float(coverage[best])
        + calibration.passage_coverage * terms.coverage(top.text, top.language)
        + calibration.margin * _margin(passages)
        + _HEADING_LOGIT * float(asked[best])
        + calibration.bias
    )
    ranked = [
        Sentence(sentences[i].passage, sentences[i].start, sentences[i].end, float(scores[i])) for i in order
    ]
    return Support(
        ranked, 1.0 / (1.0 + math.exp(-max(-60.0, min(60.0, logit)))), logit >= calibration.threshold
    )


def _headings_that_ask(
    headings: Sequence[str],
    similarity: NDArray[np.float32],
    of: Sequence[Passage],
    passages: Sequence[Passage],
) -> NDArray[np.float64]:
    """For each sentence's passage, 0..1: how nearly its heading is the question, as in a FAQ."""
    found = iter(similarity.tolist())
    low, high = _SAME_QUESTION
    near = {
        passage.chunk_id: min(1.0, max(0.0, (next(found) - low) / (high - low))) if heading else 0.0
        for heading, passage in zip(headings, passages, strict=True)
    }
    return np.array([near[passage.chunk_id] for passage in of])


def _margin(passages: Sequence[Passage]) -> float:
    """How much nearer the first passage is than the mean of the others."""
    if len(passages) < 2:
        return _USUAL_MARGIN
    others = [passage.similarity for passage in passages[1:]]
    return passages[0].similarity - sum(others) / len(others)


class _Terms:
    """The question's words that carry meaning, weighed by how rare they are in the index."""

    def __init__(self, question: str, passages: Sequence[Passage]) -> None:
        languages = list(dict.fromkeys(passage.language for passage in passages))
        self.language = detect_language(question, languages[0])
        self._terms = [set(term) for term in query_terms(question, [self.language, *languages])]
        self._weights = [1.0] * len(self._terms)

    async def weigh(self, frequencies: Frequencies) -> None:
        """Sets each word's weight to its inverse document frequency, as BM25 has it."""
        counts, total = await frequencies([spelling for term in self._terms for spelling in term])
        self._weights.clear()
        for term in self._terms:
            count = max((counts.get(spelling, 0) for spelling in term), default=0)
            self._weights.append(math.log(1 + (max(total, count) - count + 0.5) / (count + 0.5)))

    def coverage(self, text: str, language: str) -> float:
        """Share of the question's weight that occurs in a text, 0..1."""
        found = words(text)
        present = {*found, *(stem(word, language) for word in found)}
        total = sum(self._weights) or 1.0
        pairs = zip(self._weights, self._terms, strict=True)
        return sum(weight for weight, term in pairs if term & present) / total
