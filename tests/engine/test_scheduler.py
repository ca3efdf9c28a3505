"""The scheduler against a sequential oracle: whatever the schedule, the same tokens, and no block astray."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sillar.engine.blocks import BlockManager
from sillar.engine.request import BLOCK_TOKENS, GenerationParams, SamplingParams
from sillar.engine.scheduler import Scheduler, SchedulerOptions
from sillar.engine.sequence import Sequence
from tests.engine.fake import FakeStepper, oracle

EOS = frozenset({3})


@dataclass(frozen=True)
class Arrival:
    """A request, the step it comes in and, maybe, the step it is cancelled after."""

    prompt: tuple[int, ...]
    params: GenerationParams
    step: int = 0
    cancel: int | None = None


class Harness:
    """Runs arrivals through a scheduler and a fake stepper, checking the invariants in every step."""

    def __init__(self, options: SchedulerOptions, kv_blocks: int = 64, order: int = 0) -> None:
        self.stepper = FakeStepper(kv_blocks, order=order)
        self.scheduler = Scheduler(BlockManager(kv_blocks, sharing=options.prefix_cache), options)
        self.capacity = kv_blocks * BLOCK_TOKENS
        self.outputs: dict[int, list[int]] = {}
        self.ended: dict[int, str] = {}
        self.batches: list[list[tuple[int, int]]] = []

    def sequence(self, number: int, arrival: Arrival) -> Sequence:
        room = self.capacity - len(arrival.prompt)
        most = room if arrival.params.max_tokens is None else min(room, arrival.params.max_tokens)
        return Sequence(number, arrival.prompt, arrival.params, len(arrival.prompt) + most, EOS)

    def add(self, number: int, arrival: Arrival) -> Sequence:
        sequence = self.sequence(number, arrival)
        self.outputs[number] = []
        self.scheduler.add(sequence)
        return sequence

    def step(self) -> None:
        batch = self.scheduler.schedule()
        assert batch.works, "requests, but nothing scheduled"
        self.check()
        self.batches.append([(work.sequence.number, work.count) for work in batch.works])
        result = self.stepper.step(batch.steps)
        for output in self.scheduler.commit(batch, result):
            number = output.sequence.number
            assert output.error is None
            assert number not in self.ended
            self.outputs[number] += [e.token for e in output.events if e.token is not None]
            if output.finish_reason:
                self.ended[number] = output.finish_reason
        self.check()

    def check(self) -> None:
        references = Counter(b for s in self.scheduler.running for b in s.blocks)
        self.scheduler.blocks.check(references)

    def run(self, arrivals: list[Arrival], most: int = 5000) -> None:
        live: dict[int, Sequence] = {}
        self.ended = {}
        for step in range(most):
            for number, arrival in enumerate(arrivals):
                if arrival.step == step:
                    live[number] = self.add(number, arrival)
                if arrival.cancel == step and number in live and self.scheduler.remove(live[number]):
                    self.ended[number] = "cancelled"
            if not self.scheduler.idle:
                self.step()
            elif all(arrival.step <= step for arrival in arrivals):
                break
        assert self.scheduler.idle, "some request never ends"
        self.check()
        assert self.scheduler.blocks.available == self.scheduler.blocks.count


@st.composite
def arrival(draw: st.DrawFn) -> Arrival:
    group = draw(st.integers(0, 2))
    shared = [10 + group] * draw(st.integers(0, 50))
    own = draw(st.lists(st.integers(4, 9), min_size=1, max_size=20))
    params = GenerationParams(
        sampling=SamplingParams(
            temperature=draw(st.sampled_from([0.0, 0.7])),
            seed=draw(st.integers(0, 3)),
            presence_penalty=draw(st.sampled_from([0.0, 0.5])),
        ),
        max_tokens=draw(st.integers(0, 40)),
        min_tokens=draw(st.sampled_from([0, 0, 5])),
        ignore_eos=draw(st.booleans()),
        prompt_logprobs=draw(st.sampled_from([None, None, 0, 2])),
        prompt_logprobs_from=draw(st.integers(0, len(shared) + len(own) - 1)),
        tenant=draw(st.sampled_from(["a", "b"])),
        priority=draw(st.sampled_from([0, 0, 0, 1])),
        lookup=draw(st.booleans()),
    )
    cancel = draw(st.one_of(st.none(), st.none(), st.integers(0, 30)))
    return Arrival((*shared, *own), params, draw(st.integers(0, 15)), cancel)


@settings(max_examples=150, deadline=None)
@given(
    arrivals=st.lists(arrival(), min_size=1, max_size=10),
    kv_blocks=st.integers(8, 24),
    options=st.builds(
        SchedulerOptions,
        max_running=st.integers(1, 8),
        budget=st.integers(1, 96),
        row_price=st.sampled_from([0.02, 0.3]),
        prefix_cache=st.booleans(),
    ),
    order=st.sampled_from([0, 1, 2]),
)
def test_any_schedule_gives_the_oracle_tokens(
    arrivals: list[Arrival],
    kv_blocks: int,
    options: SchedulerOptions,
    order: int,
) -> None:
    harness = Harness(options, kv_blocks, order)
    harness.run(arrivals)
    for number, request in enumerate(arrivals):
        expected = oracle(
            request.prompt, request.params, order=order, eos=EOS, limit=kv_blocks * BLOCK_TOKENS
        )
        if harness.ended[number] == "cancelled":
            assert harness.outputs[number] == expected[: len(harness.outputs[number])]
        else:
            assert harness.outputs[number] == expected
            last = expected[-1] if expected else None
            stopped = last in EOS and not request.params.ignore_eos
            assert harness.ended[number] == ("stop" if stopped else "length")


def request(length: int = 40, *, first: int = 10, step: int = 0, **params: object) -> Arrival:
    params.setdefault("max_tokens", 5)
    params.setdefault("ignore_eos", True)
    prompt = tuple((first + i) % 101 for i in range(length))
    return Arrival(prompt, GenerationParams(**params), step)  # type: ignore[arg-type]


def test_a_long_prompt_never_stops_a_stream() -> None:
    harness = Harness(SchedulerOptions(budget=64), kv_blocks=64)
    harness.run([request(10, max_tokens=30), request(600, first=50, step=3)])
    decoding = [i for i, batch in enumerate(harness.batches) if (0, 1) in batch]
    assert decoding == list(range(1, 30))
    assert all(sum(count for _, count in batch) <= 64 for batch in harness.batches)


def test_a_short_prompt_does_not_wait_for_a_long_one() -> None:
    harness = Harness(SchedulerOptions(budget=64), kv_blocks=64)
    harness.run([request(600), request(20, first=50, step=1)])
    assert (1, 20) in harness.batches[1]


def test_a_common_prefix_is_computed_once_even_by_requests_of_the_same_step() -> None:
    harness = Harness(SchedulerOptions(budget=512))
    harness.run([request(160), request(160), request(160), request(160)])
    # 159 tokens of the first; the others share nine full blocks and compute the last 16 tokens.
    assert harness.scheduler.stats.cached_tokens == 3 * 144
    harness.add(9, request(160))
    harness.scheduler.schedule()
    assert harness.scheduler.running[0].cached == 144


def test_tenants_do_not_share_prefixes() -> None:
    harness = Harness(SchedulerOptions(budget=512))
    harness.run([request(160, tenant="a"), request(160, tenant="b", step=10)])
    assert harness.scheduler.stats.cached_tokens == 0


def test_a_tenant_with_many_requests_does_not_starve_another() -> None:
    harness = Harness(SchedulerOptions(max_running=1, budget=64))
    crowd = [request(40, first=i, tenant="crowd") for i in range(8)]
    harness.run([*crowd, request(40, first=60, tenant="single", step=1)])
    order = list(harness.ended)
    assert order.index(8) <= 1


def test_priority_preempts_and_the_preempted_resumes_exactly() -> None:
    harness = Harness(SchedulerOptions(max_running=1, budget=64))
    low, high = request(40, max_tokens=20), request(40, first=60, step=5, priority=1)
    harness.run([low, high])
    assert list(harness.ended) == [1, 0]
    assert harness.scheduler.stats.preemptions == 1
    assert harness.outputs[0] == oracle(low.prompt, low.params)


def test_memory_pressure_preempts_the_youngest() -> None:
    harness = Harness(SchedulerOptions(budget=64, prefix_cache=False), kv_blocks=8)
    harness.run([request(30, first=i * 20, max_tokens=60) for i in range(3)])
    assert harness.scheduler.stats.preemptions > 0
    assert next(iter(harness.ended)) == 0


def test_lookup_needs_fewer_steps_where_text_repeats() -> None:
    plain = Harness(SchedulerOptions(lookup=False), order=1)
    plain.run([request(max_tokens=300)])
    drafted = Harness(SchedulerOptions(row_price=0.1), order=1)
    drafted.run([request(max_tokens=300)])
    assert drafted.outputs == plain.outputs
    assert len(drafted.batches) < len(plain.batches) / 2
    assert drafted.scheduler.stats.accepted_tokens > 100


def test_lookup_switches_itself_off_where_it_does_not_pay() -> None:
    # 11 tokens, drawn at random: three-grams are found often, and are wrong ten times out of eleven.
    stepper = FakeStepper(128, vocab=11)
    harness = Harness(SchedulerOptions(row_price=0.15), kv_blocks=128)
    harness.stepper = stepper
    harness.run([Arrival((1, 2, 4), GenerationParams(max_tokens=1500, ignore_eos=True))])
    assert harness.scheduler.stats.drafted_tokens < 0.1 * 1500


def test_prompt_scores_cover_every_prompt_token() -> None:
    harness = Harness(SchedulerOptions(budget=32))
    arrival = request(70, prompt_logprobs=2, max_tokens=2)
    sequence = harness.add(0, arrival)
    while not harness.scheduler.idle:
        harness.step()
    scores = sequence.prompt_scores
    assert [score.token for score in scores] == list(arrival.prompt)
    assert scores[0].logprob is None
    assert all(
        score.logprob is not None and score.logprob < 0 and len(score.top) == 2 for score in scores[1:]
    )


@settings(max_examples=60, deadline=None)
@given(
    length=st.integers(2, 200),
    part=st.floats(0, 0.999),
    budget=st.integers(4, 300),
    cached=st.booleans(),
)
def test_scores_of_a_prompts_end_are_those_of_the_whole(
    length: int, part: float, budget: int, cached: bool
) -> None:
    begin = int(part * length)
    whole = Harness(SchedulerOptions(budget=512))
    expected = whole.add(0, request(length, prompt_logprobs=1, max_tokens=0))
    whole.step()
    while not whole.scheduler.idle:
        whole.step()
    harness = Harness(SchedulerOptions(budget=budget))
    if cached:
        harness.run([request(length)])
    sequence = harness.add(1, request(length, prompt_logprobs=1, prompt_logprobs_from=begin, max_tokens=0))
    while not harness.scheduler.idle:
        harness.step()
    assert sequence.prompt_scores == expected.prompt_scores[begin:]
    assert sequence.cached == (max(0, begin - 1) // BLOCK_TOKENS * BLOCK_TOKENS if cached else 0)


@pytest.mark.parametrize("cached", [False, True])
def test_a_block_is_evicted_least_recently_used_first(cached: bool) -> None:
    harness = Harness(SchedulerOptions(budget=512, prefix_cache=cached), kv_blocks=8)
    harness.run([request(33, max_tokens=1), request(33, first=50, max_tokens=1, step=3)])
    harness.run([request(97, first=70, max_tokens=1)])
    before = harness.scheduler.stats.cached_tokens
    harness.run([request(33, max_tokens=1)])
    assert harness.scheduler.stats.cached_tokens - before == 0
    harness.run([request(33, max_tokens=1)])
    assert harness.scheduler.stats.cached_tokens - before == (32 if cached else 0)
