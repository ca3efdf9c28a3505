"""A server at its capacity, and for a minute under ten times that: what those admitted see, and the others.

    python -m benchmarks.overload [MODEL] --users 8 --times 10

The load is serve.py's. Of those that are not admitted, each must be answered 429, with a Retry-After.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
from collections.abc import Sequence
from typing import Any

from benchmarks import load, machine, servers
from benchmarks.make_model import find_model
from benchmarks.serve import SHAPE
from sillar import hub
from sillar.engine.native import read_metadata
from sillar.tokenizer import Tokenizer


def summary(requests: Sequence[load.Request]) -> dict[str, Any]:
    """Seconds to the first token and a token, of the admitted; how long a refusal took."""
    turned_away = [request for request in requests if load.refused(request)]
    admitted = [load.timing(request) for request in requests if not load.refused(request)]
    refusals = [request.received[0][0] - request.began for request in turned_away]
    return {
        "requests": len(requests),
        "refused": len(turned_away),
        "finished": sum(timing.whole for timing in admitted),
        "unanswered": sum(timing.first is None for timing in admitted),
        "ttft_s": spread([t.first for t in admitted if t.first is not None]),
        "tpot_s": spread([t.per_token for t in admitted if t.per_token is not None]),
        "refusal_s": spread(refusals),
    }


def spread(values: Sequence[float]) -> dict[str, float]:
    if not values:
        return {"p50": float("nan"), "p95": float("nan")}
    ordered = sorted(values)
    return {"p50": statistics.median(ordered), "p95": ordered[int(len(ordered) * 0.95)]}


def line(name: str, row: dict[str, Any]) -> str:
    times = ", ".join(
        f"{what} {row[key]['p50']:.3f} {row[key]['p95']:.3f} s"
        for what, key in (("TTFT", "ttft_s"), ("TPOT", "tpot_s"), ("refusal", "refusal_s"))
    )
    counts = f"{row['requests']} requests, {row['refused']} refused, {row['finished']} finished"
    return f"{name}: {counts}, {row['unanswered']} unanswered; p50 and p95 of {times}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", nargs="?", default=hub.DEFAULT_CHAT_MODEL)
    parser.add_argument("--users", type=int, default=8, help="at capacity, each asks every ten seconds")
    parser.add_argument("--times", type=int, default=10, help="what the overload is of that")
    parser.add_argument("--seconds", type=float, default=60, help="of the overload; the capacity's is half")
    parser.add_argument("--patience", type=float, default=30, help="seconds after the last arrival")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--running", type=int, default=32, help="requests that the server computes at once")
    parser.add_argument("--waiting", type=int, default=64, help="and that it lets wait")
    arguments = parser.parse_args()
    model = find_model(arguments.model)
    tokenizer = Tokenizer.from_metadata(read_metadata(model))
    rate = arguments.users / 10
    phases = {
        "capacity": (rate, arguments.seconds / 2),
        "overload": (rate * arguments.times, arguments.seconds),
    }
    os.environ |= {
        "SILLAR_ENGINE_RUNNING": str(arguments.running),
        "SILLAR_ENGINE_WAITING": str(arguments.waiting),
    }
    rows = {}
    with servers.sillar(model, servers.Room(32, SHAPE.prompt + SHAPE.answer, arguments.threads)) as server:
        for name, (of_phase, seconds) in phases.items():
            texts = load.Texts(tokenizer.encode, load.SEED)
            documents, requests = load.plan(texts, SHAPE, of_phase, seconds, load.SEED)
            for document in documents:
                asyncio.run(load.ask(server.port, load.Request(0, document + "\n\nWhy?", 2, 0)))
            asyncio.run(load.run(server.port, requests, arguments.patience))
            rows[name] = summary(requests)
            machine.log(line(name, rows[name]))
    machine.emit("overload", {"model": model.name, "rows": rows})


if __name__ == "__main__":
    main()
