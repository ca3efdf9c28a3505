"""The benchmark runs what it says: sizes, chunks, positions, block tables."""

from __future__ import annotations

import pytest

from sillar.bench import BenchOptions, measure
from sillar.errors import ContextLengthError
from tests.cli.fakes import FakeStepper


def test_reports_every_size_with_median_and_spread() -> None:
    result = measure(FakeStepper(), BenchOptions(tokens=(16, 100), decode_tokens=4, repeats=3))
    assert [row["tokens"] for row in result["prefill"]] == [16, 100]
    assert [row["context"] for row in result["decode"]] == [16, 100]
    for row in result["prefill"] + result["decode"]:
        assert row["tokens_per_second"] > 0
        assert row["spread"] >= 0
    assert "quartiles" in result["spread"]


def test_steps_continue_one_another_and_only_the_last_chunk_draws() -> None:
    stepper = FakeStepper()
    measure(stepper, BenchOptions(tokens=(100,), decode_tokens=2, repeats=1, chunk=64))
    shares = [(share.past, len(share.tokens), share.outputs, len(share.blocks)) for share in stepper.steps]
    prefill, decode = [(0, 64, 0, 4), (64, 36, 1, 7)], [(100, 1, 1, 7), (101, 1, 1, 7)]
    assert shares == prefill * 2 + decode * 2


def test_too_long_for_the_cache_is_an_error() -> None:
    with pytest.raises(ContextLengthError, match=r"4160 tokens asked for; .* hold 4096: use --tokens"):
        measure(FakeStepper(), BenchOptions(tokens=(4096,)))
