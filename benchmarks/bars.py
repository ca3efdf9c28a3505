"""Every bar of speed in one go: `python -m benchmarks.bars [--only SECTION...]` writes docs/bars.md.

Each section is one command of another benchmark. What its last line says is kept in docs/bars.json as soon as
it is done; `--only` alone writes the page from what is kept. An hour on two cores, models of 7B to 20B
included, which are made where they are missing; llama.cpp is built twice, for all of the processor and for
AVX2 alone.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.make_model import find_model

DOCS = Path(__file__).parent.parent / "docs"
SMALL, LARGE = "tinyllama-1.1b:", "mistral-7b:"
DEFAULT = "smollm2-135m-instruct"
Figures = dict[str, dict[str, float]]
"""Of each workload: `sillar`, `peer`, `ratio`, `share` of the machine's limit; `of file` of memory."""


def _compare(model: str, options: str) -> str:
    return f"benchmarks.compare {model} --peers llama.cpp {options}"


_ALL = "--workloads prefill decode batched"
_SHORT = "--workloads prefill decode --prefill 512 --decode 64 --repeats 3"
_OF_1B = f"{_ALL} --prefill 512 2048 --decode 64 8100 --batched 4 16 --repeats 3"
_OF_7B = f"{_ALL} --prefill 512 2048 --decode 64 8100 --batched 16 --steps 8 --repeats 2"
SECTIONS = {
    "SmolLM2 Q4_1": _compare(
        DEFAULT, f"{_ALL} --prefill 128 512 2048 --decode 64 2048 8100 --batched 1 4 16 --repeats 3"
    ),
    "1.1B Q4_0": _compare(SMALL + "Q4_0", _OF_1B),
    "1.1B Q4_K_M": _compare(SMALL + "Q4_K_M", _OF_1B),
    "7B Q4_0": _compare(LARGE + "Q4_0", _OF_7B),
    "7B Q4_K_M": _compare(LARGE + "Q4_K_M", _OF_7B),
    **{f"1.1B {kind}": _compare(SMALL + kind, _SHORT) for kind in ("Q5_K_M", "Q6_K", "Q8_0")},
    **{f"AVX2, 1.1B {kind}": _compare(SMALL + kind, f"--avx2 {_SHORT}") for kind in ("Q4_0", "Q4_K_M")},
    "8k prompt, SmolLM2": _compare(DEFAULT, "--workloads prefill --prefill 8192 --repeats 2"),
    "8k prompt, 1.1B Q4_0": _compare(SMALL + "Q4_0", "--workloads prefill --prefill 8192 --repeats 2"),
    "neighbour, 1.1B Q4_0": _compare(SMALL + "Q4_0", "--neighbour --repeats 3"),
    "mixed, SmolLM2": f"benchmarks.engine_mixed {DEFAULT} --repeats 3",
    "mixed, 1.1B Q4_0": f"benchmarks.engine_mixed {SMALL}Q4_0 --repeats 3",
    "load, 7B Q4_0": _compare(LARGE + "Q4_0", "--workloads load memory --repeats 1"),
    "reading, 7B Q4_0": f"benchmarks.decode_bandwidth {LARGE}Q4_0",
    "reading, 13B Q4_0": "benchmarks.decode_bandwidth llama-2-13b:Q4_0 --rounds 15",
    "reading, 20B Q4_0": "benchmarks.decode_bandwidth internlm2-20b:Q4_0 --rounds 15",
    "quality, SmolLM2": f"benchmarks.quality {DEFAULT} --kv-types bf16 f16 int8",
    "quality, Qwen 1.5B": "benchmarks.quality qwen2.5-coder-1.5b-instruct --tokens 4400 --kv-types bf16",
    "indexing": "benchmarks.ingest --repeats 2",
}  # fmt: skip
"""What measures each section, after `python -m`."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of one figure, where section and workload match: at least `least`, or less than `below`."""

    section: str
    workload: str
    column: str = "ratio"
    least: float = 0.0
    below: float = 0.0

    def matches(self, section: str, workload: str) -> bool:
        return bool(re.fullmatch(self.section, section) and re.fullmatch(self.workload, workload))

    def reached(self, value: float) -> bool:
        return value < self.below if self.below else value >= self.least

    def __str__(self) -> str:
        unit = {"ratio": "times", "share": "of the limit", "of file": "of the file", "sillar": ""}[
            self.column
        ]
        share = self.column == "share"
        number = self.below or self.least
        text = f"{number:.0%}" if share else f"{number:g}"
        return f"{'below' if self.below else 'at least'} {text} {unit}".rstrip()


_SMOL, _1B, _7B = "SmolLM2 .*", "1.1B Q4_.*", "7B Q4_.*"
_OTHER, _AVX2 = "1.1B Q[568]_.*", "AVX2, .*"
BARS = (
    Bar(_SMOL, "prefill 512", least=6),
    Bar(_SMOL, "prefill 2048", least=5),
    Bar(_SMOL, "decode 64", least=1.6),
    Bar(_SMOL, "decode 8100", least=1.6),
    Bar(_SMOL, "batched 16", least=4),
    Bar(_1B, "prefill 512", least=2.8),
    Bar(_1B, "prefill 2048", least=3),
    Bar(_1B, "decode 64", least=1.2),
    Bar(_1B, "decode 8100", least=1.5),
    Bar(_1B, "batched 16", least=3.5),
    Bar(_7B, "prefill 512", least=2.4),
    Bar(_7B, "prefill 512", "share", least=0.6),
    Bar(_7B, "prefill 2048", least=2.4),
    Bar(_7B, "decode 64", least=1),
    Bar(_7B, "decode 8100", least=1.3),
    Bar(_7B, "batched 16", least=3),
    Bar(_OTHER, "prefill 512", least=2.2),
    Bar(_OTHER, "decode 64", least=1),
    Bar(_AVX2, "prefill 512", least=1.5),
    Bar(_AVX2, "decode 64", least=1),
    Bar("neighbour, .*", ".* kept beside a neighbour", "sillar", least=0.45),
    Bar("mixed, .*", "gap p95", below=4),
    Bar("mixed, .*", "first token", below=1.4),
    Bar("load, .*", "first token, warm start", "sillar", below=1.5),
    Bar("load, .*", "resident memory", "of file", below=1.1),
    Bar("reading, 7B .*", "decode 64", "share", least=0.92),
    Bar("reading, (13|20)B .*", "decode 64", "share", least=0.9),
    Bar("quality, .*", "KL divergence, bf16 cache", below=1.1),
    Bar("indexing", "pipeline, the same model", least=3),
)


def figures_of(result: Mapping[str, Any]) -> Figures:
    """The figures of a benchmark's last line, by workload."""
    return _READERS[result["benchmark"]](result)


def _of_compare(result: Mapping[str, Any]) -> Figures:
    (model,) = result["models"]
    found: Figures = {}
    for row in model["rows"]:
        figures = found[f"{row['workload']} {row['size']}".strip()] = {}
        for name, engine in row["engines"].items():
            figures["sillar" if name == "sillar" else "peer"] = engine["median"]
            if name == "sillar" and row["workload"] == "prefill":
                figures["share"] = engine["share"]
        if row["ratios"]:
            (figures["ratio"],) = row["ratios"].values()
    return found


def _of_mixed(result: Mapping[str, Any]) -> Figures:
    gap = {"sillar": result["gap_busy_ms"], "ratio": result["gap_ratio"]}
    return {"gap p95": gap, "first token": {"ratio": result["ttft_ratio"]}}


def _of_reading(result: Mapping[str, Any]) -> Figures:
    (model,) = result["results"]
    return {"decode 64": {"sillar": model["tokens_per_second"]["median"], "share": model["share"]["median"]}}


def _of_quality(result: Mapping[str, Any]) -> Figures:
    engines = dict(result["engines"])
    peer = engines.pop("llama.cpp")["kl_mean"]
    return {
        f"KL divergence, {name.removeprefix('sillar, KV ')} cache": {
            "sillar": row["kl_mean"], "peer": peer, "ratio": row["kl_mean"] / peer,
        }
        for name, row in engines.items()
    }  # fmt: skip


def _of_ingest(result: Mapping[str, Any]) -> Figures:
    from benchmarks.ingest import PEER, PEER_BY_32, SAME  # noqa: PLC0415 - which needs the models

    rows = result["pipeline"]
    best, usual, same = (rows[name]["median"] for name in (PEER, PEER_BY_32, SAME))
    (default,) = (row["median"] for name, row in rows.items() if name not in (PEER, PEER_BY_32, SAME))
    pairs = {"pipeline, the same model": (same, best), "pipeline, the default model": (default, best),
             "pipeline, the same model, 32 texts a call": (same, usual)}  # fmt: skip
    return {
        name: {"sillar": ours, "peer": peer, "ratio": ours / peer} for name, (ours, peer) in pairs.items()
    }


_READERS = {"compare": _of_compare, "engine_mixed": _of_mixed, "decode_bandwidth": _of_reading,
            "quality": _of_quality, "ingest": _of_ingest}  # fmt: skip


def judged(section: str, figures: Figures) -> Iterator[tuple[str, dict[str, float], list[tuple[Bar, bool]]]]:
    """Each workload of a section with its figures and its bars, reached or missed."""
    for workload, found in figures.items():
        bars = [bar for bar in BARS if bar.matches(section, workload)]
        yield workload, found, [(bar, bar.reached(found[bar.column])) for bar in bars if bar.column in found]


_INTRODUCTION = """# The bars of speed

Written by `make bars` from docs/bars.json: each section is one command's figures, with 2 threads, in turns
with the peer within the run; a ratio is the median of the ratios of neighbouring samples. tokens/s, unless a
workload says otherwise. The limit of prefill is the int8 peak of that run (AVX2's kernels need fewer
instructions a product than the probe), of decode what the read probe reads before and after each sample.
Peers: llama.cpp, ONNX Runtime for indexing. The models of 1.1B to 20B have random weights.

docs/benchmarks.md says how the peers run, why what is missed is missed, and what was measured elsewhere.
"""
_HEAD = """| workload | Sillar | peer | ratio | of the limit | bar | |
|---|---|---|---|---|---|---|
"""


def page(kept: Mapping[str, Any]) -> str:
    """docs/bars.md."""
    sections = {name: kept[name] for name in SECTIONS if name in kept}
    judgements = [judged(name, section["figures"]) for name, section in sections.items()]
    verdicts = [verdict for rows in judgements for *_, bars in rows for _, verdict in bars]
    parts = [_INTRODUCTION, f"**{sum(verdicts)} of {len(verdicts)} bars are reached.**\n"]
    for name, section in sections.items():
        about, limits = section["machine"], section.get("limits")
        peak = f"; int8 peak {limits['int8']:.2f} TOPS, reading {limits['read']:.0f} GB/s" if limits else ""
        where = f"{about['cpu']} (family {about['family_model']}), {about['cores']} cores"
        when = f"{about['time_utc'][:10]}, {about['revision']}"
        parts.append(
            f"## {name}\n\n    python -m {SECTIONS[name]}\n\n{where}, {when}{peak}; {section['seconds']} s.\n"
        )
        parts.append(_HEAD + "".join(_lines(name, section["figures"])))
    return "\n".join(parts)


def _lines(section: str, figures: Figures) -> Iterator[str]:
    for workload, found, bars in judged(section, figures):
        cells = [_number(found.get(name)) for name in ("sillar", "peer")]
        ratio, share = found.get("ratio"), found.get("share")
        cells += ["" if ratio is None else f"{ratio:.2f}", "" if share is None else f"{share:.0%}"]
        if "of file" in found:
            cells[0] += f" MiB, {found['of file']:.2f} of the file"
        cells.append("; ".join(str(bar) for bar, _ in bars))
        cells.append("; ".join("reached" if reached else "**missed**" for _, reached in bars))
        yield f"| {workload} | {' | '.join(cells)} |\n"


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def run(command: str) -> dict[str, Any]:
    """What a command's last line says."""
    arguments = [sys.executable, "-m", *command.split()]
    output = subprocess.run(arguments, stdout=subprocess.PIPE, text=True, check=True).stdout
    result: dict[str, Any] = json.loads(output.splitlines()[-1])
    return result


def measure(section: str) -> dict[str, Any]:
    """A section as it is kept: its figures, and what they were measured with."""
    began = time.monotonic()
    result = run(SECTIONS[section])
    figures = figures_of(result)
    if memory := figures.get("resident memory"):
        name = SECTIONS[section].split()[1]
        memory["of file"] = memory["sillar"] * 2**20 / find_model(name).stat().st_size
    kept = {"figures": figures, "machine": result["machine"], "seconds": round(time.monotonic() - began)}
    if "limits" in result:
        best = {
            what: max(isa[what]["all"]["best"] for isa in result["limits"].values())
            for what in ("int8", "read")
        }
        kept["limits"] = best
    return dict(machine.rounded(kept))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--only", nargs="*", choices=tuple(SECTIONS), metavar="SECTION", help=", ".join(SECTIONS)
    )
    parser.add_argument("--docs", type=Path, default=DOCS)
    arguments = parser.parse_args()
    path = arguments.docs / "bars.json"
    kept = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    wanted = list(SECTIONS) if arguments.only is None else arguments.only
    for place, section in enumerate(wanted, 1):
        machine.log(f"[{place} of {len(wanted)}] {section}: python -m {SECTIONS[section]}")
        try:
            kept[section] = measure(section)
        except subprocess.CalledProcessError as error:
            machine.log(f"{section}: left out, it ended with {error.returncode}")
            continue
        path.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    (arguments.docs / "bars.md").write_text(page(kept), encoding="utf-8")


if __name__ == "__main__":
    main()
