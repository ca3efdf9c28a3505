"""The benchmarks' shared helpers: statistics and the last line of JSON."""

import json

import pytest

from benchmarks import machine


def test_median_and_spread_of_a_skewed_sample():
    summary = machine.summarize([1.0, 2.0, 3.0, 4.0, 100.0])
    assert summary == {"median": 3.0, "spread": pytest.approx(1 / 3), "n": 5}


def test_one_sample_has_no_spread():
    assert machine.summarize([2.5]) == {"median": 2.5, "spread": 0.0, "n": 1}


def test_last_line_is_one_json_object(capsys):
    machine.log("progress")
    machine.emit("demo", {"value": 1.23456789, "rows": [{"x": 2.0}]})
    out = capsys.readouterr().out.splitlines()
    assert len(out) == 1
    result = json.loads(out[-1])
    assert result["benchmark"] == "demo"
    assert result["value"] == 1.2346
    assert result["rows"] == [{"x": 2.0}]
    assert {"cpu", "isa", "cores", "revision"} <= result["machine"].keys()


def test_measure_counts_calls():
    calls = []
    seconds = machine.measure(lambda: calls.append(1), repeats=3, warmup=2)
    assert len(calls) == 5
    assert len(seconds) == 3
