"""Which sentences of the passages answer a question, and how sure that is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from sillar.documents.alignment import Frequencies, WordVectors, align, inverse_frequency
from sillar.documents.answer_kind import LANGUAGES, kind_check
from sillar.documents.calibration import OTHER_LANGUAGE, SAME_LANGUAGE, probability
from sillar.documents.document import Passage
from sillar.documents.interfaces import TextEmbedder
from sillar.documents.language import detect_language, stem, words
from sillar.documents.late_interaction import Interaction, interact
from sillar.documents.names import literal_names, share_named
from sillar.documents.references import without_references
from sillar.documents.relations import relation_check, shares_only_names
from sillar.documents.search import query_terms
from sillar.documents.sentences import spans

_MOST_SENTENCES = 32
_SAME_QUESTION = (0.88, 0.96)
"""Cosine of a question and a heading: from where it counts, and from where it asks the same."""
_HEADING_LOGIT = 4.0
"""What a heading that asks the question adds to the logit of support."""
_ALIGNED_SCORE = 1.0
"""What the question's words, said in another language, add to a sentence's score."""
_SAID_SCORE = 10.0
"""What the question's tokens, said by a sentence and by its passage, add to the sentence's score."""
_KIND_SCORE = 0.5
"""What the time or the number that is asked for adds to a sentence's score; docs/log.md has both figures."""
_KIND_LOGIT = 6.0
"""What its lack takes from the logit of support, where question and passages share a language."""
_OTHER_LOGIT = 8.0
"""What it takes from it when the best sentence tells something else than what is asked, of the same name."""
_CARRIED_SHARE = 0.2
"""What a word that a follow-up takes from the questions before it counts, beside its own words."""
_NEAR_PASSAGES = 4
_USUAL_MARGIN = 0.035
"""Similarity of the best passage above the others', where there are no others to compare with."""


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
    features: Mapping[str, float] = field(default_factory=dict)
    """What the probability was computed from, by name; see sillar.documents.calibration."""


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
    *,
    read: int = 4,
    own: str = "",
    word_vectors: WordVectors | None = None,
) -> Support:
    """Scores the sentences of the first `read` of `passages` (best first); the rest show what is usual.

    `vector`: the question's. `own`: what a follow-up asks itself, where `question` begins with what it goes
    on from. Errors: the embedder's.
    """
    chosen = passages[:read]
    sentences = split_passages(chosen)
    if not sentences:
        return Support((), 0.0, False)
    own = own or question
    terms = _Terms(question, own, chosen)
    await terms.weigh(frequencies)
    evidence = await _gather(question, own, sentences, chosen, embedder, terms, vector)
    foreign = chosen[0].language != terms.language
    if foreign:
        words_of = word_vectors or WordVectors(embedder)
        await evidence.add_foreign(question, terms.language, chosen, words_of, frequencies)
    holds = _of_the_kind(own, sentences)
    scores = evidence.scores(0.15 if foreign else 0.5) + _KIND_SCORE * holds
    order = np.argsort(-scores, kind="stable")
    best = int(order[0])
    top = sentences[best].passage
    calibration = OTHER_LANGUAGE if foreign else SAME_LANGUAGE
    features = evidence.features(best, passages, terms.coverage(top.text, top.language))
    logit = calibration.logit(features) + _HEADING_LOGIT * float(evidence.asked[best])
    if not foreign:
        logit -= _KIND_LOGIT * float(1.0 - holds[best])
        logit -= _OTHER_LOGIT * float(_tells_something_else(own, sentences[best]))
    ranked = [replace(sentences[i], score=float(scores[i])) for i in order]
    return Support(ranked, probability(logit), logit >= calibration.threshold, features)


@dataclass(slots=True)
class _Evidence:
    """What speaks for each sentence, [sentences] each."""

    sentences: Sequence[Sentence]
    similarity: NDArray[np.float32]
    coverage: NDArray[np.float64]
    asked: NDArray[np.float64]
    said: Interaction
    of: Sequence[int]
    """The place of each one's passage."""
    aligned: NDArray[np.float64] | None = None
    foreign: Callable[[int], dict[str, float]] | None = None
    """Features of a question in another language than the passages', for the best sentence's place."""

    def scores(self, words_share: float) -> NDArray[np.float64]:
        """By which the sentences are ranked."""
        fused = np.array([sentence.passage.score for sentence in self.sentences])
        scores = (1 - words_share) * (self.similarity - 0.8) / 0.08 + 2 * words_share * self.coverage
        aligned = 0.0 if self.aligned is None else _ALIGNED_SCORE * self.aligned
        said = _SAID_SCORE * (self.said.sentences + self.said.passages[list(self.of)])
        return np.asarray(scores + fused + self.asked + said + aligned, np.float64)

    def features(self, best: int, passages: Sequence[Passage], coverage: float) -> dict[str, float]:
        """What the calibration weighs; `coverage`: of the best sentence's passage."""
        common = {
            "similarity": float(self.similarity[best]),
            "coverage": float(self.coverage[best]),
            "passage_coverage": coverage,
            "margin": _margin(passages[:_NEAR_PASSAGES]),
            **self.said.features(self.of[best]),
        }
        if self.foreign is None:
            return common
        return common | self.foreign(best)

    async def add_foreign(
        self,
        question: str,
        language: str,
        passages: Sequence[Passage],
        word_vectors: WordVectors,
        frequencies: Frequencies,
    ) -> None:
        """What only a question in another language needs: its words aligned, its numbers found."""
        texts = [[s.text for s in self.sentences if s.passage is passage] for passage in passages]
        alignment = await align(question, language, texts, word_vectors, frequencies)
        self.aligned = alignment.sentences

        def features(best: int) -> dict[str, float]:
            return {
                "aligned": float(alignment.passages[self.of[best]]),
                "numbers": _numbers_found(question, self.sentences[best].passage.text),
                "asked_in_spanish": float(language == "es"),  # whose cosines lie elsewhere than English ones'
            }

        self.foreign = features


async def _gather(
    question: str,
    own: str,
    sentences: Sequence[Sentence],
    passages: Sequence[Passage],
    embedder: TextEmbedder,
    terms: _Terms,
    vector: NDArray[np.float32],
) -> _Evidence:
    headings = [passage.headings[-1] if passage.headings else "" for passage in passages]
    own_words = [without_references(sentence.text, question) for sentence in sentences]
    texts = own_words + [heading for heading in headings if heading]
    vectors, tokens = await embedder.embed_tokens([*texts, *dict.fromkeys((question, own))], "passage")
    similarity = vectors @ vector
    asked = _headings_that_ask(headings, similarity[len(sentences) : len(texts)])
    places = {passage.chunk_id: i for i, passage in enumerate(passages)}
    of = [places[sentence.passage.chunk_id] for sentence in sentences]
    counts = np.full(len(tokens[len(texts)]), _CARRIED_SHARE)
    counts[-len(tokens[-1]) :] = 1.0
    said = interact(tokens[len(texts)], tokens[: len(sentences)], of, counts)
    coverage = np.array(
        [
            terms.coverage(text, sentence.passage.language)
            for text, sentence in zip(own_words, sentences, strict=True)
        ]
    )
    return _Evidence(sentences, similarity[: len(sentences)], coverage, asked[of], said, of)


def _of_the_kind(question: str, sentences: Sequence[Sentence]) -> NDArray[np.float64]:
    """[sentences], 1 where one holds the kind of answer that is asked for, or nobody can tell."""
    holds = kind_check(question)
    if holds is None:
        return np.ones(len(sentences))
    return np.array([one.passage.language not in LANGUAGES or holds(one.text) for one in sentences], float)


def fits(question: str, sentence: Sentence) -> bool:
    """Whether a sentence may answer by its kind, and tells what is asked of a name, as far as that shows."""
    return bool(_of_the_kind(question, [sentence])[0]) and not _tells_something_else(question, sentence)


def _tells_something_else(question: str, sentence: Sentence) -> bool:
    """Whether it shares no more than a name with the question, and tells nothing of what is asked of it."""
    language = sentence.passage.language
    tells = relation_check(question)
    if tells is None or language not in LANGUAGES or tells(sentence.text, language):
        return False
    plain = " ".join(word for word in sentence.text.split() if word[0].islower())
    if detect_language(plain, language) != language:
        return False  # its names made the passage look so: "Los Angeles"
    return shares_only_names(question, sentence.text, language)


def _numbers_found(question: str, text: str) -> float:
    """Share of the question's numbers that a text holds; half when it has none."""
    asked = {word for word in words(question) if any(c.isdigit() for c in word)}
    return len(asked & set(words(text))) / len(asked) if asked else 0.5


def _headings_that_ask(headings: Sequence[str], similarity: NDArray[np.float32]) -> NDArray[np.float64]:
    """For each passage, 0..1: how nearly its heading is the question, as in a FAQ; `similarity`: of those
    that have one.
    """
    low, high = _SAME_QUESTION
    near = np.zeros(len(headings))
    near[[bool(heading) for heading in headings]] = np.clip((similarity - low) / (high - low), 0.0, 1.0)
    return near


def _margin(passages: Sequence[Passage]) -> float:
    """How much nearer the first passage is than the mean of the others."""
    if len(passages) < 2:
        return _USUAL_MARGIN
    others = [passage.similarity for passage in passages[1:]]
    return passages[0].similarity - sum(others) / len(others)


class _Terms:
    """The question's words that carry meaning, weighed by how rare they are in the index."""

    def __init__(self, question: str, own: str, passages: Sequence[Passage]) -> None:
        languages = list(dict.fromkeys(passage.language for passage in passages))
        self.language = detect_language(question, languages[0])
        self._terms = [set(term) for term in query_terms(question, [self.language, *languages])]
        asked = set(words(own))
        self._names = literal_names(question)
        self._counts = [_CARRIED_SHARE if asked.isdisjoint(term) else 1.0 for term in self._terms]
        self._weights = self._counts

    async def weigh(self, frequencies: Frequencies) -> None:
        """Sets each word's weight to its inverse document frequency, as BM25 has it."""
        counts, total = await frequencies([spelling for term in self._terms for spelling in term])
        self._weights = []
        for term, share in zip(self._terms, self._counts, strict=True):
            count = max((counts.get(spelling, 0) for spelling in term), default=0)
            self._weights.append(share * inverse_frequency(count, total))

    def coverage(self, text: str, language: str) -> float:
        """Share of the question's weight that occurs in a text, 0..1."""
        found = words(text)
        present = {*found, *(stem(word, language) for word in found)}
        pairs = zip(self._weights, self._terms, strict=True)
        said = sum(weight for weight, term in pairs if term & present)
        named = len(self._names) * max(self._weights, default=1.0)  # a name is as rare as the rarest word
        total = sum(self._weights) + named
        return (said + named * share_named(text, self._names)) / (total or 1.0)
