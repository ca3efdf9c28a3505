"""compare.py's machinery, with a fake engine: alternation, ratios, shares, failures in a worker."""

import sys

import pytest

pytest.importorskip("sillar._native")

from benchmarks import compare, make_model, report, workloads
from benchmarks.worker import Worker, WorkerError


class Fake(workloads.Subject):
    vocab_size, max_step_tokens, mixed_chunk = 100, 8, 4

    def __init__(self):
        self.seen = []

    def load(self, path, threads, room, **settings):
        return {"engine": "fake"}

    def reserve(self, sizes):
        self.sizes = sizes

    def step(self, parts):
        self.seen.append([(part.stream, len(part.tokens), part.past) for part in parts])
        return [7] * len(parts)

    def step_logits(self, part):
        raise NotImplementedError

    def truncate(self, stream, tokens):
        pass

    def unload(self):
        pass


def test_prefill_is_cut_into_the_engines_steps_and_decode_advances():
    fake = Fake()
    calls = workloads.Workloads(fake)
    calls.fill(streams=[0], tokens=20)
    assert fake.seen == [[(0, 8, 0)], [(0, 8, 8)], [(0, 4, 16)]]
    fake.seen.clear()
    assert len(calls.decode(streams=2, context=20, tokens=3)) == 3
    assert fake.seen == [[(0, 1, 20 + i), (1, 1, 20 + i)] for i in range(3)]


def test_mixed_takes_one_chunk_a_step_beside_every_stream():
    fake = Fake()
    times = workloads.Workloads(fake).mixed(streams=2, context=5, prompt=10)
    assert len(times["quiet"]) == 16
    assert len(times["busy"]) == 3
    assert fake.seen[16] == [(0, 1, 21), (1, 1, 21), (2, 4, 0)]
    assert fake.seen[18] == [(0, 1, 23), (1, 1, 23), (2, 2, 8)]


def test_the_ratio_is_of_neighbouring_runs():
    engines = compare.Engines(model=None, workers={})
    samples = {"sillar": [2.0, 30.0, 4.0], "llama.cpp": [1.0, 10.0, 2.0], "openvino": [2.0, 15.0, 2.0]}
    engines.add({"workload": "x", "size": 1, "unit": "u"}, samples)
    assert engines.rows[0]["ratios"] == {"llama.cpp": 2.0, "openvino": 2.0}


def test_one_engine_alone_has_figures_and_no_ratio():
    engines = compare.Engines(model=None, workers={})
    engines.add({"workload": "decode", "size": 64, "unit": "tokens/s"}, {"sillar": [2.0, 4.0, 3.0]})
    assert engines.rows[0]["ratios"] == {}
    assert report.line(engines.rows[0]) == "decode 64: sillar 3.00 ±17% tokens/s"


def test_a_peer_that_cannot_run_a_workload_has_no_cell_there():
    engines = compare.Engines(model=None, workers={"sillar": None, "openvino": None})
    about = {"sillar": {}, "openvino": {"workloads": ["decode"]}}
    assert list(engines.able("decode", about).workers) == ["sillar", "openvino"]
    assert list(engines.able("mixed", about).workers) == ["sillar"]
    engines.add({"workload": "decode", "size": 64, "unit": "tokens/s"}, {"sillar": [3.0], "openvino": [2.0]})
    engines.add({"workload": "mixed", "size": 9, "unit": "x"}, {"sillar": [2.0]})
    assert report.table([{"model": "m.gguf", "rows": engines.rows}]).splitlines()[2:6] == [
        "| workload | | sillar | openvino |",
        "|---|---|---|---|",
        "| decode 64 | tokens/s | 3.00 | 2.00; **1.50** |",
        "| mixed 9 | x | 2.00 | - |",
    ]


def test_an_engine_that_only_generates_answers_the_same_calls():
    seen = []

    class Whole(workloads.Generator):
        vocab_size = 50

        def load(self, path, threads, room, **settings):
            return {"engine": "whole"}

        def generate(self, prompts, tokens):
            seen.append(([len(prompt) for prompt in prompts], tokens))
            return [0.5 * (step + 1) for step in range(tokens)]

    calls = workloads.handlers(Whole())
    assert "mixed" not in calls["load"](path="m.gguf", threads=1)["workloads"]
    assert calls["fill"](streams=[0, 1], tokens=7) == 1.0
    assert calls["decode"](streams=2, context=7, tokens=3) == [0.5] * 3
    assert seen == [([1], 1), ([7], 1), ([7], 1), ([7, 7], 4)]


def test_shares_of_the_limits(tmp_path):
    path = make_model.ensure_model("tiny", "Q8_0", tmp_path)
    layer = 256 * (256 * 2 + 128 * 2 + 512 * 3)
    rows = [
        {"workload": "prefill", "size": 8, "engines": {"sillar": {"median": 1000.0}}},
        {"workload": "decode", "size": 0, "engines": {"sillar": {"median": 1000.0}}},
    ]
    limits = {"avx2": {what: {"all": {"best": 1e-3}} for what in ("int8", "read")}}
    report.add_shares({"rows": rows}, path, limits, threads=2)
    assert rows[0]["engines"]["sillar"]["share"] == pytest.approx(2 * 2 * layer * 1000 / 1e9)
    matrices = (2 * layer + 512 * 256) * 34 / 32
    assert rows[1]["engines"]["sillar"]["share"] == pytest.approx(matrices * 1000 / 1e6)


def test_our_worker_runs_a_generated_model_and_reports_failures(tmp_path):
    path = make_model.ensure_model("tiny", "Q4_K_M", tmp_path)
    with Worker(sys.executable, "benchmarks.peer_sillar") as worker:
        about = worker.call("load", path=str(path), threads=1, room=1024)
        assert about["engine"] == "Sillar"
        worker.call("reserve", sizes=[256, 256])
        assert worker.call("fill", streams=[0, 1], tokens=40) > 0
        assert len(worker.call("decode", streams=2, context=40, tokens=4)) == 4
        assert len(worker.call("greedy", prompt=[1, 2, 3], tokens=5)) == 5
        assert worker.call("memory")["resident"] > 0
        with pytest.raises(WorkerError, match="do not fit"):
            worker.call("reserve", sizes=[4096])
