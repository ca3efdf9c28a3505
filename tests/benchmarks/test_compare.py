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
    pair = compare.Pair(model=None, workers={})
    pair.add(
        {"workload": "x", "size": 1, "unit": "u"}, {"ours": [2.0, 30.0, 4.0], "theirs": [1.0, 10.0, 2.0]}
    )
    assert pair.rows[0]["ratio"] == 2.0


def test_one_engine_alone_has_figures_and_no_ratio():
    pair = compare.Pair(model=None, workers={})
    pair.add({"workload": "decode", "size": 64, "unit": "tokens/s"}, {"sillar": [2.0, 4.0, 3.0]})
    assert pair.rows[0]["ratio"] is None
    table = report.table([{"model": "m.gguf", "rows": pair.rows}]).splitlines()
    assert table[2] == "| workload | | Sillar | ratio | share of limit: Sillar |"
    assert {line.count("|") for line in table[2:5]} == {6}
    assert report.line(pair.rows[0]) == "decode 64: sillar 3.00 ±17% tokens/s"


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
