"""bars.py reads every benchmark's last line, judges it, and the page that is kept is the one it writes."""

import json
import re

import pytest

pytest.importorskip("sillar._native")

from benchmarks import bars


def verdicts(section, figures):
    return {
        workload: [reached for _, reached in judged] for workload, _, judged in bars.judged(section, figures)
    }


def engine(median, **more):
    return {"median": median, "spread": 0.0, "n": 3, **more}


def test_a_comparison_is_judged_by_ratio_and_share():
    rows = [
        {"workload": "prefill", "size": 512, "ratios": {"llama.cpp": 2.5},
         "engines": {"sillar": engine(100.0, share=0.5), "llama.cpp": engine(40.0, share=0.2)}},
        {"workload": "decode", "size": 64, "ratios": {"llama.cpp": 0.9},
         "engines": {"sillar": engine(9.0), "llama.cpp": engine(10.0)}},
    ]  # fmt: skip
    figures = bars.figures_of({"benchmark": "compare", "models": [{"rows": rows}]})
    assert figures["prefill 512"] == {"sillar": 100, "peer": 40, "ratio": 2.5, "share": 0.5}
    assert verdicts("7B Q4_0", figures) == {"prefill 512": [True, False], "decode 64": [False]}
    assert verdicts("1.1B Q5_K_M", figures) == {"prefill 512": [True], "decode 64": [False]}


def test_what_must_stay_below_a_bar_misses_it_at_the_bar():
    line = {"benchmark": "engine_mixed", "gap_busy_ms": 20.0, "gap_ratio": 4.0, "ttft_ratio": 1.39}
    assert verdicts("mixed, SmolLM2", bars.figures_of(line)) == {"gap p95": [False], "first token": [True]}


def test_reading_and_quality_are_judged():
    share = {"tokens_per_second": engine(8.0), "share": engine(0.91)}
    line = {"benchmark": "decode_bandwidth", "results": [share]}
    assert verdicts("reading, 7B Q4_0", bars.figures_of(line)) == {"decode 64": [False]}
    assert verdicts("reading, 20B Q4_0", bars.figures_of(line)) == {"decode 64": [True]}
    engines = {
        "llama.cpp": {"kl_mean": 0.1},
        "sillar, KV bf16": {"kl_mean": 0.105},
        "sillar, KV int8": {"kl_mean": 1},
    }
    judged = verdicts("quality, SmolLM2", bars.figures_of({"benchmark": "quality", "engines": engines}))
    assert judged == {"KL divergence, bf16 cache": [True], "KL divergence, int8 cache": []}


def test_every_bar_has_a_section_that_it_judges():
    assert all(any(re.fullmatch(bar.section, section) for section in bars.SECTIONS) for bar in bars.BARS)


def test_the_page_is_the_one_that_the_kept_figures_make():
    kept = json.loads((bars.DOCS / "bars.json").read_text(encoding="utf-8"))
    assert (bars.DOCS / "bars.md").read_text(encoding="utf-8") == bars.page(kept)
