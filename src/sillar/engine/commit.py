"""What one sequence takes from a step's result: verified drafts, new tokens, its end, prompt scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from sillar.engine.request import FinishReason, StepResult, TokenEvent, TokenScore
from sillar.engine.sequence import Sequence


@dataclass(slots=True)
class Work:
    """One sequence's share of a step: `count` known tokens, then `drafts` guessed ones."""

    sequence: Sequence
    count: int
    drafts: int
    outputs: int
    scored: bool
    """Whether the rows score a prompt."""


class Drawn(NamedTuple):
    """A step's result with its rows as Python numbers, converted once for all sequences."""

    result: StepResult
    tokens: list[int]
    logprobs: list[float]


@dataclass(slots=True)
class SequenceOutput:
    """What a step brought a sequence."""

    sequence: Sequence
    events: list[TokenEvent]
    finish_reason: FinishReason | None
    accepted: int = 0
    error: Exception | None = None
    """What went wrong with this sequence alone; it ended."""


def commit_work(work: Work, drawn: Drawn, row: int) -> SequenceOutput | None:
    """Advances the sequence by rows row .. row + outputs - 1; None: its prompt is not through yet."""
    sequence = work.sequence
    begin = sequence.computed
    if work.scored:
        _score_prompt(work, drawn.result, row)
        row += work.outputs - 1
    sequence.computed = begin + work.count
    if sequence.computed < sequence.length:
        return None
    accepted = _accepted(work, drawn.tokens, row)
    sequence.computed += accepted
    if work.drafts:
        sequence.drafted += work.drafts
        sequence.right += accepted
        assert sequence.lookup is not None
        sequence.lookup.observe(work.drafts, accepted)
    return _take(sequence, drawn, range(row, row + accepted + 1), accepted)


def _accepted(work: Work, drawn: list[int], row: int) -> int:
    """How many drafted tokens are what was drawn in their place."""
    if not work.drafts:
        return 0
    begin = work.sequence.length
    draft = work.sequence.tokens[begin : begin + work.drafts].tolist()
    for i, token in enumerate(draft):
        if drawn[row + i] != token:
            return i
    return len(draft)


def _take(sequence: Sequence, drawn: Drawn, rows: range, accepted: int) -> SequenceOutput:
    """Appends the rows' tokens up to the one that ends the sequence."""
    events: list[TokenEvent] = []
    scores = None
    if sequence.params.prompt_logprobs is not None and sequence.generated == 0:
        scores = tuple(sequence.prompt_scores)
    if sequence.params.max_tokens == 0:
        event = TokenEvent(None, finish_reason="length", usage=sequence.usage(), prompt_scores=scores)
        return SequenceOutput(sequence, [event], "length")
    best = sequence.params.sampling.logprobs
    for row in rows:
        token = drawn.tokens[row]
        sequence.tokens[sequence.length] = token
        sequence.length += 1
        reason = _reason(sequence, token)
        top = _top(drawn.result, row, best) if best else ()
        usage = sequence.usage() if reason is not None else None
        events.append(TokenEvent(token, drawn.logprobs[row], top, reason, usage, scores))
        scores = None
        if reason is not None:
            return SequenceOutput(sequence, events, reason, accepted)
    return SequenceOutput(sequence, events, None, accepted)


def _reason(sequence: Sequence, token: int) -> FinishReason | None:
    constraint = sequence.params.constraint
    if token in sequence.stop_ids:
        return "stop"
    if constraint is not None and constraint.advance(token):
        return "stop"
    return "length" if sequence.length >= sequence.limit else None


def _top(result: StepResult, row: int, best: int) -> tuple[tuple[int, float], ...]:
    top = zip(result.top_tokens[row][:best].tolist(), result.top_logprobs[row][:best].tolist(), strict=True)
    return tuple(top)


def _score_prompt(work: Work, result: StepResult, row: int) -> None:
    """Scores the prompt tokens that the rows predict: row i predicts the token after its own."""
    sequence = work.sequence
    scores = sequence.prompt_scores
    first = sequence.params.prompt_logprobs_from
    if not scores and first == 0:
        scores.append(TokenScore(int(sequence.tokens[0]), None))
    best = sequence.params.prompt_logprobs or 0
    begin = first + len(scores)  # the first token without a score; a preempted sequence has some already
    row -= sequence.computed + work.count - work.outputs  # of position 0
    for position in range(begin, min(sequence.computed + work.count + 1, sequence.prompt_length)):
        at = row + position - 1
        scores.append(TokenScore(int(result.tokens[at]), float(result.logprobs[at]), _top(result, at, best)))
