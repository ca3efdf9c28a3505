"""Sillar next to llama.cpp: the same file, threads and workloads, alternating in one run.

    python -m benchmarks.compare --quick                       SmolLM2, two minutes
    python -m benchmarks.compare tinyllama-1.1b:Q4_K_M model.gguf --workloads prefill decode
    python -m benchmarks.compare tinyllama-1.1b:Q4_0 --neighbour   what a busy loop on a core leaves of both
    python -m benchmarks.compare tinyllama-1.1b:Q4_0 --avx2          both with AVX2 alone
    python -m benchmarks.compare llama-2-13b:Q4_0 --peers            alone, where memory has no room for both
    python -m benchmarks.compare --quick --peers llama.cpp openvino  a column for OpenVINO GenAI (installs it)

A model is a path, a name of the catalogue, or SHAPE:KIND for one with random weights (made when missing).
Figures are medians; a ratio is the median of the ratios of neighbouring runs, so that what disturbs both
does not count. Peers: llama.cpp, and OpenVINO GenAI and vLLM where they are installed already.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import machine, peer_environment, report, roofline
from benchmarks.make_model import find_model
from benchmarks.worker import Worker, WorkerError
from sillar import hub

WORKLOADS = ("load", "prefill", "decode", "batched", "mixed", "neighbour", "memory")
WARM_TOKENS = 512
WARM_STEPS = 8
PEERS = {
    "llama.cpp": "benchmarks.peer_llama_cpp",
    "openvino": "benchmarks.peer_openvino",
    "vllm": "benchmarks.peer_vllm",
}
QUICK = ("load", "prefill", "decode", "batched", "memory")


@dataclass(frozen=True, slots=True)
class Plan:
    """Sizes and repeats of the workloads."""

    workloads: tuple[str, ...] = WORKLOADS
    prefill: tuple[int, ...] = (128, 512, 2048)
    decode: tuple[int, ...] = (64, 2048)
    batched: tuple[int, ...] = (1, 4, 16)
    mixed_prompt: int = 4096
    repeats: int = 5
    steps: int = 24
    threads: int = 2
    avx2: bool = False
    peers: tuple[str, ...] = ("llama.cpp",)


DEFAULT = Plan()


@dataclass
class Engines:
    """Ours and its peers with one model loaded, and what was measured: rows of name -> samples an engine."""

    model: Path
    workers: dict[str, Worker]
    rows: list[dict[str, Any]] = field(default_factory=list)

    def able(self, workload: str, about: dict[str, dict[str, Any]]) -> Engines:
        """Those that can run a workload; their rows are the same list."""
        able = {
            name: worker
            for name, worker in self.workers.items()
            if workload in about[name].get("workloads", WORKLOADS)
        }
        return Engines(self.model, able, self.rows)

    def all(self, name: str, **arguments: Any) -> dict[str, Any]:
        return {engine: worker.call(name, **arguments) for engine, worker in self.workers.items()}

    def alternate(self, row: dict[str, Any], repeats: int, run: Callable[[Worker], float]) -> None:
        """Adds a row of `repeats` samples of each engine, taken in turns, all of them warm."""
        samples: dict[str, list[float]] = {engine: [] for engine in self.workers}
        for _ in range(repeats):
            for engine, worker in self.workers.items():
                samples[engine].append(run(worker))
        self.add(row, samples)

    def add(self, row: dict[str, Any], samples: dict[str, list[float]]) -> None:
        engines = {engine: machine.summarize(values) for engine, values in samples.items()}
        (_, ours), *peers = samples.items()
        ratios = {
            peer: statistics.median(mine / other for mine, other in zip(ours, theirs, strict=True))
            for peer, theirs in peers
        }
        self.rows.append(row | {"engines": engines, "ratios": ratios})
        machine.log(report.line(self.rows[-1]))


def prefill(engines: Engines, plan: Plan) -> None:
    for tokens in plan.prefill:
        engines.all("reserve", sizes=[tokens + 16])
        engines.all("fill", streams=[0], tokens=min(tokens, WARM_TOKENS))
        repeats = max(min(2, plan.repeats), min(plan.repeats, plan.repeats * 512 // tokens))
        row = {"workload": "prefill", "size": tokens, "unit": "tokens/s"}
        engines.alternate(row, repeats, lambda w, n=tokens: n / w.call("fill", streams=[0], tokens=n))


def decode(engines: Engines, plan: Plan) -> None:
    for context in plan.decode:
        _decoding(engines, plan, {"workload": "decode", "size": context, "unit": "tokens/s"}, 1, context)


def batched(engines: Engines, plan: Plan) -> None:
    for streams in plan.batched:
        _decoding(engines, plan, {"workload": "batched", "size": streams, "unit": "tokens/s"}, streams, 64)


def _decoding(engines: Engines, plan: Plan, row: dict[str, Any], streams: int, context: int) -> None:
    engines.all("reserve", sizes=[context + plan.steps + 8] * streams)
    engines.all("fill", streams=list(range(streams)), tokens=context)
    arguments = {"streams": streams, "context": context, "tokens": plan.steps}
    engines.all("decode", **{**arguments, "tokens": min(plan.steps, WARM_STEPS)})
    engines.alternate(row, plan.repeats, lambda w: streams / statistics.median(w.call("decode", **arguments)))


def mixed(engines: Engines, plan: Plan) -> None:
    """How much longer the streams' gaps get (p95), and the prompt's time to first token against alone.

    Sillar through its engine, which has its own prompts; llama.cpp by steps of its server's size.
    """
    prompt, streams, context = plan.mixed_prompt, 8, 256
    engines.all("reserve", sizes=[2 * context] * streams + [prompt])
    engines.all("fill", streams=list(range(streams)), tokens=context)
    gaps: dict[str, list[float]] = {}
    slowdowns: dict[str, list[float]] = {}
    for engine, worker in engines.workers.items():
        run = worker.call("mixed", streams=streams, context=context, prompt=prompt)
        alone = run.get("alone") or worker.call("fill", streams=[streams], tokens=prompt)
        gaps[engine] = [report.p95(run["busy"]) / report.p95(run["quiet"])]
        slowdowns[engine] = [run.get("ttft", sum(run["busy"])) / alone]
    engines.add({"workload": "mixed gap p95", "size": prompt, "unit": "x quiet"}, gaps)
    engines.add({"workload": "mixed TTFT", "size": prompt, "unit": "x alone"}, slowdowns)


@contextmanager
def busy_neighbour() -> Iterator[None]:
    """A loop that never ends, alone on the last of our processors."""
    cpu = max(os.sched_getaffinity(0))
    code = f"import os; os.sched_setaffinity(0, {{{cpu}}})\nwhile True: pass"
    loop = subprocess.Popen([sys.executable, "-c", code])
    try:
        yield
    finally:
        loop.kill()
        loop.wait()


def neighbour(engines: Engines, plan: Plan) -> None:
    """What a busy neighbour on one processor leaves of the speed; the ratio is of these shares."""
    prompt, context = 512, 64
    engines.all("reserve", sizes=[prompt + 16])
    engines.all("fill", streams=[0], tokens=prompt)

    def decoding(worker: Worker) -> float:
        worker.call("fill", streams=[0], tokens=context)
        return statistics.median(worker.call("decode", streams=1, context=context, tokens=plan.steps))

    def prefilling(worker: Worker) -> float:
        return float(worker.call("fill", streams=[0], tokens=prompt))

    def kept(worker: Worker, seconds: Callable[[Worker], float]) -> float:
        quiet = seconds(worker)
        with busy_neighbour():
            return quiet / seconds(worker)

    for name, run in (("prefill", prefilling), ("decode", decoding)):
        row = {"workload": f"{name} kept beside a neighbour", "size": "", "unit": "of quiet"}
        engines.alternate(row, plan.repeats, lambda w, run=run: kept(w, run))


def memory(engines: Engines, _: Plan) -> None:
    resident = {engine: [use["resident"] / 2**20] for engine, use in engines.all("memory").items()}
    engines.add({"workload": "resident memory", "size": "", "unit": "MiB"}, resident)


def load(engines: Engines, plan: Plan, start: Callable[[], dict[str, Worker]]) -> None:
    """Seconds to the first token in fresh processes: with the file's pages dropped, and again."""
    for state in ("cold", "warm"):
        samples = {}
        for engine, worker in start().items():
            if state == "cold":
                report.drop_from_page_cache(engines.model)
            with worker:
                about = worker.call("load", path=str(engines.model), threads=plan.threads)
            samples[engine] = [about["first_token_s"]]
        engines.add({"workload": f"first token, {state} start", "size": "", "unit": "s"}, samples)


def start_workers(plan: Plan) -> dict[str, Worker]:
    """Ours first."""
    ours = {"SILLAR_ISA": "avx2"} if plan.avx2 else {}
    workers = {"sillar": Worker(sys.executable, "benchmarks.peer_sillar", ours)}
    for name in plan.peers:
        if name == "llama.cpp":
            python = peer_environment.llama_cpp_python(avx2_only=plan.avx2)
        else:
            python = peer_environment.packaged_python(name)
        lent = {}
        if name == "openvino":  # see peer_openvino.TOKENIZER_VARIABLE
            lent = {"SILLAR_OPENVINO_TOKENIZER": str(hub.resolve(hub.DEFAULT_CHAT_MODEL))}
        workers[name] = Worker(python, PEERS[name], lent)
    return workers


def compare(model: Path, plan: Plan) -> dict[str, Any]:
    """All of the plan's workloads for one model: {model, engines, rows}."""
    machine.log(f"== {model.name}")
    engines = Engines(model, {})
    if "load" in plan.workloads:
        load(engines, plan, lambda: start_workers(plan))
    engines.workers = start_workers(plan)
    mixed_room = plan.mixed_prompt + 8 * 2048 if "mixed" in plan.workloads else 0
    streams = max(plan.batched) * (64 + plan.steps + 24) if "batched" in plan.workloads else 0
    sizes = [
        *(plan.decode if "decode" in plan.workloads else ()),
        *(plan.prefill if "prefill" in plan.workloads else ()),
    ]
    room = max(mixed_room, streams, *sizes, 2048) + 512
    about = engines.all("load", path=str(model), threads=plan.threads, room=room)
    for run in (prefill, decode, batched, mixed, neighbour, memory):
        if run.__name__ in plan.workloads:
            try:
                run(engines.able(run.__name__, about), plan)
            except WorkerError as error:
                machine.log(f"{run.__name__} left out: {error}")
    for worker in engines.workers.values():
        worker.close()
    return {"model": model.name, "engines": about, "rows": engines.rows}


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="*", help="paths, catalogue names or SHAPE:KIND")
    parser.add_argument("--quick", action="store_true", help="the small default model, the main workloads")
    parser.add_argument(
        "--workloads", nargs="+", choices=WORKLOADS, help="default: all; --quick: the main ones"
    )
    parser.add_argument("--neighbour", action="store_true", help="only what a busy loop on one core leaves")
    parser.add_argument("--avx2", action="store_true", help="Sillar and llama.cpp with AVX2 alone")
    parser.add_argument(
        "--peers", nargs="*", choices=PEERS, help="default: llama.cpp, and others that are installed"
    )
    parser.add_argument("--prefill", nargs="+", type=int, default=DEFAULT.prefill)
    parser.add_argument("--decode", nargs="+", type=int, default=DEFAULT.decode)
    parser.add_argument("--batched", nargs="+", type=int, help="streams")
    parser.add_argument("--steps", type=int, default=DEFAULT.steps, help="steps of a decoding sample")
    parser.add_argument("--repeats", type=int, default=DEFAULT.repeats)
    parser.add_argument("--threads", type=int, default=DEFAULT.threads)
    parser.add_argument("--plot", type=Path, help="write a PNG here (needs matplotlib)")
    parser.add_argument("--json", type=Path, help="write the result here too")
    return parser.parse_args(arguments)


def chosen_workloads(arguments: argparse.Namespace) -> tuple[str, ...]:
    if arguments.workloads or arguments.neighbour:
        return (*(arguments.workloads or ()), *(("neighbour",) if arguments.neighbour else ()))
    return QUICK if arguments.quick else WORKLOADS


def chosen_peers(arguments: argparse.Namespace) -> tuple[str, ...]:
    if arguments.peers is not None:
        return tuple(arguments.peers)
    others = [name for name in PEERS if name != "llama.cpp" and not arguments.avx2]
    return ("llama.cpp", *filter(peer_environment.is_present, others))


def main() -> None:
    arguments = parse()
    models = arguments.models or [hub.DEFAULT_CHAT_MODEL]
    plan = Plan(
        workloads=chosen_workloads(arguments),
        prefill=tuple(arguments.prefill),
        decode=tuple(arguments.decode),
        repeats=3 if arguments.quick else arguments.repeats,
        threads=arguments.threads,
        avx2=arguments.avx2,
        peers=chosen_peers(arguments),
        steps=arguments.steps,
        batched=tuple(arguments.batched or ((1, 16) if arguments.quick else DEFAULT.batched)),
    )
    limits = {isa: found for isa, found in roofline.limits(5, 0.05).items() if isa == "avx2" or not plan.avx2}
    results = [compare(find_model(name), plan) for name in models]
    for result in results:
        report.add_shares(result, find_model(models[results.index(result)]), limits, plan.threads)
    print(roofline.table(limits), report.table(results), sep="\n\n")
    outcome = {"limits": limits, "threads": plan.threads, "models": results}
    if arguments.json:
        arguments.json.write_text(json.dumps(machine.rounded(outcome)))
    if arguments.plot:
        from benchmarks.plot import draw  # noqa: PLC0415 - matplotlib is an extra

        draw(results, arguments.plot)
    machine.emit("compare", outcome)


if __name__ == "__main__":
    main()
