"""How long steps are made: by measured speed, in proportion to the streams' own step (docs/engine.md)."""

from __future__ import annotations

from collections.abc import Sequence as Steps

import pytest

from sillar.engine.cost import StepCost
from sillar.engine.request import GenerationParams, SequenceStep, StepResult
from sillar.engine.scheduler import SchedulerOptions
from sillar.engine.sequence import Sequence
from sillar.engine.worker import Worker
from tests.engine.fake import FakeStepper


class Clocked(FakeStepper):
    """Takes `fixed` seconds and `each` a token, by a clock of its own."""

    def __init__(self, fixed: float, each: float) -> None:
        super().__init__(kv_blocks=256)
        self.fixed, self.each, self.now = fixed, each, 0.0
        self.taken: list[tuple[int, float]] = []

    def step(self, batch: Steps[SequenceStep], *, want_logits: bool = False) -> StepResult:
        tokens = sum(len(s.tokens) for s in batch)
        seconds = self.fixed + self.each * tokens
        self.now += seconds
        self.taken.append((tokens, seconds))
        return super().step(batch, want_logits=want_logits)


def run(stepper: Clocked, streams: int, prompt: int) -> list[tuple[int, float]]:
    """Tokens and seconds of the steps from the prompt's arrival, among streams, to its first token."""
    worker = Worker(
        stepper, SchedulerOptions(budget=512), 0.1, lambda deliveries: None, clock=lambda: stepper.now
    )
    params = GenerationParams(ignore_eos=True, lookup=False, max_tokens=200)
    for number in range(streams):
        worker._add(Sequence(number, [5 + number] * 8, params, 208, frozenset()))
    for _ in range(24 if streams else 0):
        worker._step()
    late = Sequence(99, [4 + i % 90 for i in range(prompt)], params, prompt + 8, frozenset())
    worker._add(late)
    before = len(stepper.taken)
    while late.length == prompt:
        worker._step()
    return stepper.taken[before:]


@pytest.mark.parametrize(("fixed", "each"), [(0.008, 0.0005), (0.016, 0.001)])
def test_a_prompt_makes_the_streams_step_about_four_times_as_long(fixed: float, each: float) -> None:
    quiet = fixed + 8 * each
    steps = run(Clocked(fixed, each), streams=8, prompt=960)
    wanted = max(4 * quiet, 0.05)
    assert all(seconds < 1.5 * wanted for _, seconds in steps)
    settled = steps[len(steps) // 2 : -1]
    assert all(0.6 * wanted < seconds < 1.2 * wanted for _, seconds in settled)


def test_a_slow_model_still_takes_48_tokens_of_a_prompt() -> None:
    steps = run(Clocked(0.1, 0.03), streams=4, prompt=240)
    assert {tokens for tokens, _ in steps[:-1]} == {4 + 48}  # the first one too, when nothing is known


def test_alone_a_prompt_takes_long_steps() -> None:
    steps = run(Clocked(0.006, 0.0005), streams=0, prompt=960)
    assert max(seconds for _, seconds in steps) < 0.35
    assert max(tokens for tokens, _ in steps) > 400
    slow = run(Clocked(0.006, 0.003), streams=0, prompt=960)
    assert all(seconds < 0.45 for _, seconds in slow[len(slow) // 2 :])


def test_the_cost_of_a_row_is_learnt_and_unknown_at_first() -> None:
    cost = StepCost()
    assert cost.decode_seconds(8) is None
    for rows in (1, 2, 4, 8) * 4:
        cost.observe(rows, 0.004 + 0.001 * rows)
    assert cost.decode_seconds(16) == pytest.approx(0.020, rel=0.05)
    assert cost.row_price(1) == pytest.approx(0.2, rel=0.05)
    same = StepCost()
    for _ in range(20):
        same.observe(4, 0.01)  # nothing is learnt of other sizes; of this one everything
    assert same.decode_seconds(4) == pytest.approx(0.01)
