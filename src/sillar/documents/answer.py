"""A question answered from the index: retrieve, find the sentences, generate, keep what is supported."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sillar.documents.conversation import Turn, standalone
from sillar.documents.document import Passage
from sillar.documents.draft import Citation, Draft, nearest
from sillar.documents.grounding import NO_ANSWER, build_messages, keep_supported
from sillar.documents.index import Index
from sillar.documents.language import detect_language
from sillar.documents.likelihood import CLOSE, QuestionLikelihood
from sillar.documents.rerank import RerankOptions, rerank
from sillar.documents.rewording import find_support_reworded
from sillar.documents.store.protocol import EVERYTHING, Access
from sillar.documents.support import Sentence, Support
from sillar.engine.language_model import LanguageModel
from sillar.engine.request import GenerationParams
from sillar.errors import OverloadedError

Style = Literal["auto", "quote", "generate"]
TRUSTED_WEIGHTS = 800_000_000
"""From this size on a model's words may rest on another of the sentences that score best than the quote."""
_NEAR_SENTENCES = 8
_LINK = re.compile(r"://|\bwww\.|@")
"""What a document could smuggle into an answer: only a quote brings it."""
SEARCHED = 8
"""Passages that are searched: those after the ones that are read show how near others usually are."""


@dataclass(frozen=True, slots=True)
class AnswerOptions:
    """How an answer is made.

    style "quote": the sentences that answer, verbatim. "generate": the model's own words where the
    passages support them, else the quote. "auto": the quote at once, then the model's words where supported.
    A small model's words have to agree with the quote, too: see TRUSTED_WEIGHTS.
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
class Answer:
    """The whole answer. Every `[n]` in `text` is the number of one of `citations`."""

    text: str = ""
    citations: tuple[Citation, ...] = ()
    abstained: bool = False
    nearest: tuple[Citation, ...] = ()
    """Where to look after all, when it abstained: passages that come near, and may not answer."""
    support: float = 0.0
    """Probability, 0..1, that the passages answer the question."""
    features: Mapping[str, float] = field(default_factory=dict, compare=False)
    """What the calibration weighed for it; see sillar.documents.calibration."""
    asked: str = ""
    """The question as it was searched: a follow-up with what it goes on from."""
    generated: bool = False
    """Whether the model's own words are part of it."""
    timings: dict[str, float] = field(default_factory=dict)
    """Seconds: retrieve, ttft, total."""
    tokens: dict[str, int] = field(default_factory=lambda: {"prompt": 0, "completion": 0})
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
            "nearest": [citation.to_json() for citation in self.nearest],
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
    retrieved = time.perf_counter() - started
    found = await second_look(asked, found, index, model, options.tenant)
    support, found = await find_support_reworded(
        asked, question, found, index, vector, options.passages, access
    )
    passages = found[: options.passages]
    language = detect_language(asked, passages[0].language if passages else "en")
    first = 0.0
    whole = Answer(support=support.probability, features=support.features, timings={"retrieve": retrieved})
    if not support.sentences or (options.abstain and not support.sufficient):
        first = time.perf_counter() - started
        text = NO_ANSWER.get(language, NO_ANSWER["en"])
        whole = replace(whole, text=text, abstained=True, nearest=nearest(passages, support.sentences))
        yield AnswerEvent(whole.text)
    else:
        draft = Draft(choose(support))
        async with aclosing(_write(draft, asked, passages, support, model, options)) as pieces:
            async for piece in pieces:
                first = first or time.perf_counter() - started
                yield AnswerEvent(piece.text)
                whole = replace(whole, generated=whole.generated or piece.generated, tokens=piece.tokens)
        whole = replace(whole, text=draft.text, citations=tuple(draft.citations))
    timings = {**whole.timings, "ttft": first, "total": time.perf_counter() - started}
    whole = replace(whole, asked=asked, timings=timings, passages=tuple(passages), vector=vector)
    yield AnswerEvent("", whole)


async def second_look(
    asked: str,
    found: Sequence[Passage],
    index: Index,
    model: LanguageModel | None,
    tenant: str = "",
    options: RerankOptions = CLOSE,
) -> list[Passage]:
    """`found`, best first, where the first are nearly equal by how likely they make an English question.

    Nothing changes without a model, and where the index has a reranker.
    """
    if model is None or index.reranker is not None or detect_language(asked) != "en":
        return list(found)
    return await rerank(QuestionLikelihood(model, tenant), asked, found, options)


@dataclass(frozen=True, slots=True)
class _Piece:
    text: str
    generated: bool
    tokens: dict[str, int]


async def _write(
    draft: Draft,
    question: str,
    passages: Sequence[Passage],
    support: Support,
    model: LanguageModel | None,
    options: AnswerOptions,
) -> AsyncGenerator[_Piece, None]:
    """The quote at once, then the model's words where they are supported; "generate": those, or the quote.

    Where the model has too much to do, the quote is the answer.
    """
    tokens = {"prompt": 0, "completion": 0}
    if options.style != "generate" or model is None:
        yield _Piece(draft.quote(), False, tokens)
    if model is None or options.style == "quote":
        return
    language = detect_language(question, passages[0].language)
    try:
        text, tokens = await _generate(question, passages, language, model, options)
    except OverloadedError:
        text = ""
    grounded = keep_supported(text, question, support.sentences, draft.chosen)
    if not grounded and model.weights >= TRUSTED_WEIGHTS:
        near = [
            sentence for sentence in support.sentences[:_NEAR_SENTENCES] if not _LINK.search(sentence.text)
        ]
        grounded = keep_supported(text, question, support.sentences, near)
    added = [piece for sentence in grounded if (piece := draft.add(sentence))]
    for piece in added:
        yield _Piece(piece, True, tokens)
    if not added:
        yield _Piece(draft.quote() if options.style == "generate" else "", False, tokens)


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
