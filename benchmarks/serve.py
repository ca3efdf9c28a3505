"""Sillar's server next to llama-server: the same arrivals, prompts, file and threads, in turns in one run.

    python -m benchmarks.serve                                  SmolLM2, 1 to 32 users
    python -m benchmarks.serve tinyllama-1.1b:Q4_0 --users .2 .5 1 2 --least 10 --sustained

A user asks every --interval seconds on average, whatever became of the questions before (Poisson arrivals, an
open loop). Prompts share documents in groups; each document was seen once before the clock starts, on both.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import statistics
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks import load, machine, servers
from benchmarks.make_model import find_model
from sillar import hub
from sillar.engine.native import read_metadata
from sillar.tokenizer import Tokenizer

ENGINES = ("sillar", "llama-server")
USERS = (1, 2, 4, 8, 16, 32)
SHAPE, LIMITS = load.Shape(), load.Limits()
SHARE = 0.9
"""Of the requests, that must keep the limits where a load is carried."""


def measure(
    server: servers.Server, texts: load.Texts, arguments: argparse.Namespace, users: float
) -> dict[str, Any]:
    """One server under one load. `kept`: whether so many were good that it carries this load."""
    rate = users / arguments.interval
    seconds = max(arguments.seconds, arguments.least / rate)
    documents, requests = load.plan(texts, SHAPE, rate, seconds, load.SEED + round(users))
    for document in documents:
        warm = asyncio.run(load.ask(server.port, load.Request(0, document + "\n\nWhy?", 2, 0)))
        if not warm.whole:
            raise RuntimeError(f"{server.name} does not answer")
    least = math.ceil(SHARE * len(requests))
    running = load.run(server.port, requests, arguments.patience, least if arguments.sustained else None)
    elapsed = asyncio.run(running)
    # What clients have given up may still be computed: it must not slow down the other server's turn.
    asyncio.run(load.ask(server.port, load.Request(0, "Hello", 1, 0)))
    sent = [request for request in requests if request.began]
    window = seconds if len(sent) == len(requests) else elapsed
    row = load.figures(sent, window, elapsed, LIMITS)
    row |= {"rate_rps": rate, "planned": len(requests), "kept": row["good"] >= least}
    for request in sent:
        if request.error:
            machine.log(f"{server.name}: {request.error[:200]}")
            break
    machine.log(line(users, server.name, row))
    return row


def sustained(rows: Sequence[dict[str, Any]], name: str) -> float:
    """Requests a second of the heaviest load that the server carried; 0: none of these."""
    loads = [row["engines"][name] for row in rows if name in row["engines"]]
    return max((figures["rate_rps"] for figures in loads if figures["kept"]), default=0.0)


def repeated_prefix(server: servers.Server, texts: load.Texts, repeats: int) -> dict[str, float]:
    """Medians of the seconds to the first token of a document's first question, and of its second."""
    first, again = [], []
    for _ in range(repeats):
        document = texts.take(SHAPE.prompt - 24)
        for question, times in (("What is this about?", first), ("Who should read it, and why?", again)):
            request = load.Request(0, f"{document}\n\n{question}\n", 4, 1)
            times.append(asyncio.run(load.ask(server.port, request)).first or float("nan"))
    return {"first_s": statistics.median(first), "again_s": statistics.median(again)}


def _lost(rows: Sequence[dict[str, Any]], name: str) -> bool:
    return any(name not in row["engines"] or not row["engines"][name]["kept"] for row in rows)


def line(users: float, name: str, row: dict[str, Any]) -> str:
    spreads = {
        key: row[key] or {"p50": float("nan"), "p95": float("nan")} for key in ("ttft_s", "tpot_s", "gap_s")
    }
    return (
        f"{users:3g} users, {name:12s}: {row['good']}/{row['requests']} good, {row['finished']} finished, "
        f"{row['refused']} refused, "
        f"{row['goodput_rps']:.2f} good requests/s, {row['tokens_per_s']:.0f} tokens/s, "
        f"TTFT {spreads['ttft_s']['p50']:.2f} {spreads['ttft_s']['p95']:.2f} s, "
        f"TPOT {1e3 * spreads['tpot_s']['p50']:.0f} {1e3 * spreads['tpot_s']['p95']:.0f} ms, "
        f"gap p95 {1e3 * spreads['gap_s']['p95']:.0f} ms"
    )


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Markdown; each cell ours, theirs."""
    heads = (
        "users",
        "good requests/s",
        "tokens/s",
        "TTFT p50, s",
        "TTFT p95, s",
        "TPOT p50, ms",
        "TPOT p95, ms",
    )
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    names = list(rows[0]["engines"])
    for row in rows:
        cells = [f"{row['users']:g}"]
        for path, scale, digits in _CELLS:
            values = [_cell(row["engines"].get(name), path, scale, digits) for name in names]
            cells.append(" / ".join(values))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


_CELLS = (
    (("goodput_rps",), 1, 2),
    (("tokens_per_s",), 1, 0),
    (("ttft_s", "p50"), 1, 2),
    (("ttft_s", "p95"), 1, 2),
    (("tpot_s", "p50"), 1000, 0),
    (("tpot_s", "p95"), 1000, 0),
)


def _cell(figures: dict[str, Any] | None, path: Sequence[str], scale: float, digits: int) -> str:
    value: Any = figures
    for key in path:
        value = None if value is None else value[key]
    return "-" if value is None else f"{scale * value:.{digits}f}"


def compare(model: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """{model, rows, prefix, peak_goodput_rps}: each by the engine's name."""
    tokenizer = Tokenizer.from_metadata(read_metadata(model))
    room = servers.Room(arguments.slots, SHAPE.prompt + SHAPE.answer, arguments.threads)
    machine.log(f"== {model.name}")
    rows: list[dict[str, Any]] = []
    with ExitStack() as stack:
        log = arguments.logs
        running = []
        if "sillar" in arguments.engines:
            running.append(stack.enter_context(servers.sillar(model, room, log and log / "sillar.log")))
        if "llama-server" in arguments.engines:
            running.append(
                stack.enter_context(servers.llama(model, room, log and log / "llama.log", *arguments.flag))
            )
        prefix = {}
        for server in running:
            texts = load.Texts(tokenizer.encode, load.SEED)
            prefix[server.name] = repeated_prefix(server, texts, arguments.prefix_repeats)
            machine.log(f"{server.name}: a document's first question and its second: {prefix[server.name]}")
        for users in arguments.users:
            row: dict[str, Any] = {}
            for server in running:
                if not (arguments.sustained and _lost(rows, server.name)):
                    texts = load.Texts(tokenizer.encode, math.ceil(users))
                    row[server.name] = measure(server, texts, arguments, users)
            rows.append({"users": users, "engines": row})
        resident = {server.name: server.resident_bytes() for server in running}
    names = list(resident)
    loads = {name: [row["engines"][name] for row in rows if name in row["engines"]] for name in names}
    peaks = {name: max((f["goodput_rps"] for f in loads[name]), default=0) for name in names}
    carried = {name: sustained(rows, name) for name in names}
    machine.log(f"requests a second of which {SHARE:.0%} keep the limits: {carried}")
    result = {"model": model.name, "rows": rows, "prefix": prefix, "peak_goodput_rps": peaks}
    result["sustained_rps"] = carried
    return result | {
        "resident_bytes": resident,
        "commands": {server.name: server.command for server in running},
    }


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="*", help="paths, catalogue names or SHAPE:KIND")
    parser.add_argument("--users", nargs="*", type=float, default=USERS, help="below 1: one that asks seldom")
    parser.add_argument("--seconds", type=float, default=30, help="of arrivals, at each number of users")
    parser.add_argument("--least", type=int, default=1, help="requests at each load, however long that takes")
    parser.add_argument("--sustained", action="store_true", help="end a load that is lost, try none above it")
    parser.add_argument("--interval", type=float, default=10, help="mean seconds between a user's questions")
    parser.add_argument("--patience", type=float, default=20, help="seconds after the last arrival")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--slots", type=int, default=32, help="requests that llama-server takes at once")
    parser.add_argument("--flag", action="append", default=[], help="one more argument for llama-server")
    parser.add_argument("--prefix-repeats", type=int, default=3)
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=ENGINES)
    parser.add_argument("--logs", type=Path, help="folder for what the servers print")
    parser.add_argument("--plot", type=Path, help="write a PNG here (needs matplotlib)")
    parser.add_argument("--json", type=Path, help="write the result here too")
    return parser.parse_args(arguments)


def main() -> None:
    arguments = parse()
    models = arguments.models or [hub.DEFAULT_CHAT_MODEL]
    results = [compare(find_model(name), arguments) for name in models]
    for result in results:
        print(f"**{result['model']}** ({' / '.join(result['resident_bytes'])})\n\n{table(result['rows'])}\n")
        print(f"Requests a second, {SHARE:.0%} of them good: {result['sustained_rps']}\n")
    load_shape = {
        "interval_s": arguments.interval,
        "seconds": arguments.seconds,
        "threads": arguments.threads,
    }
    outcome = {"load": load_shape, "models": results}
    if arguments.json:
        arguments.json.write_text(json.dumps(machine.rounded(outcome)))
    if arguments.plot:
        from benchmarks.plot import draw_serving  # noqa: PLC0415 - matplotlib is an extra

        draw_serving(results, arguments.plot)
    machine.emit("serve", outcome)


if __name__ == "__main__":
    main()
