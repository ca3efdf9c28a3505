"""How long steps are made: by measured speed, in proportion to the streams' own step (docs/engine.md)."""

from __future__ import annotations

from collections.abc import Sequence as Steps

import pytest

from sillar.engine.cost import StepCost, first_speed
from sillar.engine.request import GenerationParams, SequenceStep, StepResult
from sillar.engine.scheduler import SchedulerOptions
from sillar.engine.sequence import Sequence
from sillar.engine.worker import Worker
from tests.engine.fake import FakeStepper


class Clocked(FakeStepper):
    """Takes `fixed` seconds, `each` a stream's token; a prompt's cost `slope` more with each before."""

    def __init__(self, fixed: float, each: float, token: float | None = None, slope: float = 0.0) -> None:
        super().__init__(kv_blocks=512)
        self.fixed, self.each, self.price, self.slope = fixed, each, token or each, slope
        self.now = 0.0
        self.taken: list[tuple[int, float]] = []

    def step(self, batch: Steps[SequenceStep]) -> StepResult:
        seconds = self.fixed
        for s in batch:
            count = len(s.tokens)
            seconds += self.each if count == 1 else count * (self.price + self.slope * s.past)
        self.now += seconds
        self.taken.append((sum(len(s.tokens) for s in batch), seconds))
        return super().step(batch)


def run(stepper: Clocked, streams: int, *prompts: int) -> list[tuple[int, float]]:
    """Tokens and seconds of the steps from the prompts' arrival, among streams, until all have begun."""
    worker = Worker(
        stepper, SchedulerOptions(budget=512), 0.1, lambda deliveries: None, clock=lambda: stepper.now
    )
    params = GenerationParams(ignore_eos=True, lookup=False, max_tokens=400)
    for number in range(streams):
        worker._add(Sequence(number, [5 + number] * 8, params, 408, frozenset()))
    for _ in range(24 if streams else 0):
        worker._step()
    late = [
        Sequence(100 + k, [4 + (i + k) % 90 for i in range(prompt)], params, prompt + 8, frozenset())
        for k, prompt in enumerate(prompts)
    ]
    for sequence in late:
        worker._add(sequence)
    before = len(stepper.taken)
    while any(not sequence.generated for sequence in late):
        worker._step()
    return stepper.taken[before:]


@pytest.mark.parametrize(
    ("fixed", "each", "token", "slope"),
    [(0.0035, 0.00094, 0.0006, 0.0), (0.0035, 0.00094, 0.0006, 2e-7), (0.010, 0.0042, 0.0036, 8e-7)],
)
def test_a_prompt_keeps_the_streams_steps_under_four_times_their_own(
    fixed: float, each: float, token: float, slope: float
) -> None:
    quiet = fixed + 8 * each
    steps = run(Clocked(fixed, each, token, slope), 8, 3000)
    assert all(seconds < 4 * quiet for _, seconds in steps)
    settled = steps[len(steps) // 4 : -1]
    assert all(
        seconds > min(3 * quiet, 0.085) for _, seconds in settled
    )  # and the prompt gets what that leaves
    least = quiet + 16 * (token + 3000 * slope)
    assert all(seconds < max(0.115, least) for _, seconds in settled)


def test_steps_that_nobody_would_notice_are_not_made_shorter() -> None:
    steps = run(Clocked(0.002, 0.0005), 1, 960)
    assert all(0.02 < seconds < 0.03 for _, seconds in steps[len(steps) // 2 : -1])


@pytest.mark.parametrize("prompts", [(480,), (480, 480, 480)])
def test_slow_streams_leave_prompts_half_of_the_time(prompts: tuple[int, ...]) -> None:
    steps = run(Clocked(0.06, 0.01, 0.004), 4, *prompts)
    assert all(0.15 < seconds < 0.25 for _, seconds in steps[len(steps) // 2 : -1])


def test_what_many_streams_cost_is_learnt_while_prompts_go_on() -> None:
    cost = StepCost()

    def observe(rows: int, prompt: int, before: float = 0.0, slower: float = 1.0) -> None:
        cost.observe(
            rows, prompt, slower * (0.005 + 0.0016 * rows + prompt * (0.0006 + 1.5e-7 * before)), before
        )

    for past in (0, 512, 1024):
        observe(0, 512, past + 256)
    for rows in (1, 2, 3, 1, 2, 1) * 10:
        observe(rows, 0, slower=1 + rows)  # other work on the machine while several streamed
    assert (cost.decode_seconds(17) or 0) > 0.08
    for step in range(120):
        observe(17, 30 + step % 60, 1000 + 4 * step)
    assert 0.03 < (cost.decode_seconds(17) or 0) < 0.045  # 0.032 it is


def test_a_burst_of_other_work_counts_little() -> None:
    cost = StepCost()
    for rows in (1, 2, 3, 4) * 20:
        cost.observe(rows, 0, 0.005 + 0.0016 * rows)
    cost.observe(4, 0, 0.5)
    assert cost.decode_seconds(4) == pytest.approx(0.0114, rel=0.15)


def test_a_slow_model_still_takes_16_tokens_of_a_prompt() -> None:
    steps = run(Clocked(0.1, 0.03), 4, 240)
    assert {tokens for tokens, _ in steps[:-1]} == {4 + 16}  # the first one too, when nothing is known


def test_several_prompts_get_longer_steps() -> None:
    steps = run(Clocked(0.004, 0.0007), 4, 800, 800)
    assert all(0.08 < seconds < 0.12 for _, seconds in steps[:6])
    assert all(seconds < 0.05 for _, seconds in steps[-6:])  # one of them is left


def test_alone_a_prompt_takes_long_steps() -> None:
    steps = run(Clocked(0.006, 0.0005), 0, 960)
    assert max(tokens for tokens, _ in steps) > 480
    slow = run(Clocked(0.006, 0.003), 0, 960)
    assert all(0.4 < seconds < 0.6 for _, seconds in slow[len(slow) // 2 : -1])


def test_the_cost_of_a_row_is_learnt_and_unknown_at_first() -> None:
    cost = StepCost()
    assert cost.decode_seconds(8) is None
    for rows in (1, 2, 4, 8) * 4:
        cost.observe(rows, 0, 0.004 + 0.001 * rows)
    assert cost.decode_seconds(16) == pytest.approx(0.020, rel=0.05)
    assert cost.row_price(1) == pytest.approx(0.2, rel=0.05)
    same = StepCost()
    for _ in range(20):
        same.observe(4, 0, 0.01)  # nothing is learnt of other sizes; of this one everything
    assert same.decode_seconds(4) == pytest.approx(0.01, rel=0.01)


def test_what_a_prompts_tokens_cost_is_learnt_apart_from_the_streams() -> None:
    cost = StepCost()
    for _ in range(12):
        cost.observe(8, 0, 0.012)
    for _ in range(12):
        cost.observe(8, 20, 0.012 + 20 * 0.002)
    assert cost.decode_seconds(8) == pytest.approx(0.012, rel=0.01)
    assert cost.prompt_tokens(0.042, 8) in (14, 15)
    assert cost.prompt_tokens(0.012, 8) == 0


def test_of_a_slow_model_small_steps_say_how_fast_prompts_are() -> None:
    cost = StepCost(first_speed=1000)
    for _ in range(12):
        cost.observe(0, 16, 0.4)
    assert cost.seconds(16, 0) == pytest.approx(0.4, rel=0.01)


def test_the_first_speed_follows_from_the_models_size_and_the_machine() -> None:
    small, large = (first_speed(2 * weights, 0.9e12) for weights in (134e6, 7.1e9))
    assert 1000 < small < 2200  # 2,200 and 39 are measured on such a machine
    assert 20 < large < 39
    worker = Worker(FakeStepper(), SchedulerOptions(), 0.1, lambda deliveries: None, first_speed=large)
    assert 1 < large * worker.steady_pace.prompt_seconds(0, 2) < 1.5  # steps have a share of it
