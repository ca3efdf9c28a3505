"""A question answered from the index: retrieve, find the sentences, generate, keep what is supported."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sillar.documents.conversation import Turn, standalone
from sillar.documents.document import Passage
from sillar.documents.grounding import (
    NO_ANSWER,
    GroundedSentence,
    build_messages,
    keep_supported,
    strip_markers,
)
from sillar.documents.index import Index
from sillar.documents.language import detect_language, words
from sillar.documents.store.protocol import EVERYTHING, Access
from sillar.documents.support import Sentence, Support, find_support
from sillar.engine.language_model import LanguageModel
from sillar.engine.request import GenerationParams

Style = Literal["auto", "quote", "generate"]
SEARCHED = 8
"""Passages that are searched: those after the ones that are read show how near others usually are."""


@dataclass(frozen=True, slots=True)
class AnswerOptions:
    """How an answer is made.

    style "quote": the sentences that answer, verbatim. "generate": the model's own words where the
    passages support them, else the quote. "auto": the model's words where supported, and the quote too.
    """

    style: Style = "auto"
    passages: int = 4
    prompt_tokens: int = 512
    max_tokens: int = 64
    abstain: bool = True
    """False answers with the best sentence even when it hardly supports anything."""
    tenant: str = ""
    """Whose request it is: tenants share no cached prefixes."""


@dataclass(frozen=True, slots=True)
class Citation:
    """Where a sentence of the answer stands: `quote` is `[start:end]` of the document's text."""

    number: int
    document_id: int
    document: str
    page: int | None
    section: str
    lines: tuple[int, int] | None
    quote: str
    start: int
    end: int
    score: float

    def to_json(self) -> dict[str, Any]:
        return {"number": self.number, "document_id": self.document_id,
                "document": self.document, "page": self.page, "section": self.section,
                "lines": self.lines, "quote": self.quote, "start": self.start, "end": self.end,
                "score": round(self.score, 4)}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answer:
    """The whole answer. Every `[n]` in `text` is the number of one of `citations`."""

    text: str
    citations: tuple[Citation, ...] = ()
    abstained: bool = False
    support: float = 0.0
    """Probability, 0..1, that the passages answer the question."""
    asked: str = ""
    """The question as it was searched: a follow-up with what it goes on from."""
    generated: bool = False
    """Whether the model's own words are part of it."""
    timings: dict[str, float] = field(default_factory=dict)
    """Seconds: retrieve, ttft, total."""
    tokens: dict[str, int] = field(default_factory=dict)
    """prompt and completion, of the language model; 0 when it was not asked."""
    passages: tuple[Passage, ...] = ()
    vector: NDArray[np.float32] | None = field(default=None, compare=False)
    """The question's unit vector [dim]."""

    def to_json(self) -> dict[str, Any]:
        """The object that `ask --json` prints."""
        return {
            "answer": self.text,
            "asked": self.asked,
            "citations": [citation.to_json() for citation in self.citations],
            "abstained": self.abstained,
            "support": round(self.support, 4),
            "generated": self.generated,
            "timings": {name: round(value, 4) for name, value in self.timings.items()},
            "tokens": self.tokens,
        }


@dataclass(frozen=True, slots=True)
class AnswerEvent:
    """A piece of the answer's text; the last event has no text but the whole answer."""

    text: str
    answer: Answer | None = None


async def answer(
    question: str,
    index: Index,
    model: LanguageModel | None = None,
    options: AnswerOptions | None = None,
    access: Access = EVERYTHING,
    history: Sequence[Turn] = (),
) -> Answer:
    """The answer in one piece. Without a model it quotes. `history`: the turns before, oldest first."""
    async for event in stream_answer(question, index, model, options, access, history):
        if event.answer is not None:
            return event.answer
    raise AssertionError("an answer's last event holds the answer")


async def stream_answer(
    question: str,
    index: Index,
    model: LanguageModel | None = None,
    options: AnswerOptions | None = None,
    access: Access = EVERYTHING,
    history: Sequence[Turn] = (),
) -> AsyncGenerator[AnswerEvent, None]:
    """Pieces of the answer as they are sure, then the whole. Nothing unsupported is ever shown."""
    options = options or AnswerOptions()
    started = time.perf_counter()
    asked = standalone(question, history)
    vector = await index.embed_question(asked)
    found = await index.search(asked, max(SEARCHED, options.passages), access, vector)
    passages = found[: options.passages]
    retrieved = time.perf_counter() - started
    language = detect_language(asked, passages[0].language if passages else "en")
    support = await find_support(
        asked, found, index.embedder, partial(index.read, index.store.document_frequency), vector,
        read=options.passages, word_vectors=index.word_vectors,
    )  # fmt: skip
    tokens = {"prompt": 0, "completion": 0}
    if not support.sentences or (options.abstain and not support.sufficient):
        parts, whole = _abstention(language, support)
    else:
        chosen = choose(support)
        grounded: list[GroundedSentence] = []
        if model is not None and options.style != "quote":
            text, tokens = await _generate(asked, passages, language, model, options)
            grounded = keep_supported(text, asked, support.sentences, chosen)
        parts, whole = _compose(grounded, chosen, support, options.style)
    first = time.perf_counter() - started
    for part in parts:
        yield AnswerEvent(part)
    total = time.perf_counter() - started
    timings = {"retrieve": retrieved, "ttft": first, "total": total}
    yield AnswerEvent(
        "",
        replace(whole, asked=asked, timings=timings, tokens=tokens, passages=tuple(passages), vector=vector),
    )


def choose(support: Support) -> list[Sentence]:
    """The best sentence, with what it announces when it ends in a colon."""
    best = support.sentences[0]
    chosen = [best]
    same = sorted((s for s in support.sentences if s.passage.chunk_id == best.passage.chunk_id),
                  key=lambda s: s.start)  # fmt: skip
    if best.text.rstrip().endswith(":"):
        following = same[same.index(best) + 1 :]
        budget = 60
        for sentence in following:
            budget -= len(sentence.text.split())
            if budget < 0:
                break
            chosen.append(sentence)
    return chosen


def _abstention(language: str, support: Support) -> tuple[list[str], Answer]:
    text = NO_ANSWER.get(language, NO_ANSWER["en"])
    return [text], Answer(text, abstained=True, support=support.probability)


def _params(options: AnswerOptions) -> GenerationParams:
    return GenerationParams(max_tokens=options.max_tokens, stop=("\n\n",), tenant=options.tenant)


async def _generate(
    question: str, passages: Sequence[Passage], language: str, model: LanguageModel, options: AnswerOptions
) -> tuple[str, dict[str, int]]:
    room = min(options.prompt_tokens, model.context_length - options.max_tokens)
    messages, kept = build_messages(question, passages, language, room, model.count_tokens)
    tokens = {"prompt": 0, "completion": 0}
    if not kept:
        return "", tokens
    pieces: list[str] = []
    async for event in model.chat(messages, _params(options)):
        pieces.append(event.text)
        if event.usage is not None:
            tokens = {"prompt": event.usage.prompt_tokens, "completion": event.usage.completion_tokens}
    return "".join(pieces).strip(), tokens


def _compose(
    grounded: Sequence[GroundedSentence], chosen: Sequence[Sentence], support: Support, style: Style
) -> tuple[list[str], Answer]:
    """The text with its markers, and its citations, numbered in the order in which they appear."""
    citations: list[Citation] = []
    parts: list[str] = []

    def cite(sources: Sequence[Sentence]) -> int:
        span = (sources[0].passage.chunk_id, sources[0].start, sources[-1].end)
        passage = sources[0].passage
        quote = passage.text[span[1] : span[2]]
        for known in citations:
            if (known.document_id, known.start) == (passage.document_id, passage.start + span[1]):
                return known.number
        citations.append(
            Citation(len(citations) + 1, passage.document_id, passage.document, passage.page,
                     passage.section or passage.title,
                     passage.lines, quote, passage.start + span[1], passage.start + span[2], passage.score)
        )  # fmt: skip
        return len(citations)

    for sentence in grounded:
        sources = chosen if sentence.source in chosen else [sentence.source]
        parts.append(f"{sentence.text} [{cite(sources)}]")
    said = set(words(" ".join(sentence.text for sentence in grounded)))
    quote = chosen[0].passage.text[chosen[0].start : chosen[-1].end]
    if not grounded or (style == "auto" and not set(words(quote)) <= said):
        parts.append(f"{strip_markers(quote)} [{cite(chosen)}]")
    spaced = [part if i == 0 else f"\n\n{part}" for i, part in enumerate(parts)]
    answer = Answer("".join(spaced), tuple(citations), support=support.probability, generated=bool(grounded))
    return spaced, answer
