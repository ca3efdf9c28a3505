"""Pictures of results: compare.py's speeds as ratios, serve.py's latencies over the number of users.

python -m benchmarks.plot RESULT.json... PICTURE.png     what `compare --json` wrote, drawn again
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

PEER = "llama.cpp"
SPEEDS = ("prefill", "decode", "batched")
NAMES = {"prefill": "prefill {}", "decode": "decode at {}", "batched": "streams: {}"}
COLOURS = {"prefill": "#2f6f8f", "decode": "#c2703d", "batched": "#6b8e4e"}


def draw(results: Sequence[dict[str, Any]], path: Path) -> None:
    """A panel a model; a bar a workload that is a speed, labelled with ours and llama.cpp's tokens/s."""
    figure, axes = plt.subplots(
        1, len(results), figsize=(1.5 + 4.2 * len(results), 4.2), squeeze=False, layout="constrained"
    )
    shown = [
        [row for row in result["rows"] if row["workload"] in SPEEDS and PEER in row["ratios"]]
        for result in results
    ]
    most = max(map(len, shown))
    for axis, result, rows in zip(axes[0], results, shown, strict=True):
        names = [NAMES[row["workload"]].format(row["size"]) for row in rows]
        bars = axis.barh(
            names, [row["ratios"][PEER] for row in rows], color=[COLOURS[row["workload"]] for row in rows]
        )
        axis.bar_label(bars, [_label(row) for row in rows], padding=3, fontsize=8)
        axis.axvline(1, color="black", linewidth=0.8)
        axis.set_xlim(0, 1.5 * max([row["ratios"][PEER] for row in rows], default=1))
        axis.set_ylim(most - 0.5, -0.5)
        axis.set_title(result["model"].removesuffix(".gguf"), fontsize=10)
        axis.spines[["top", "right"]].set_visible(False)
    figure.supxlabel("speed of Sillar / speed of llama.cpp (labels: tokens/s of each)", fontsize=9)
    figure.savefig(path, dpi=110)
    plt.close(figure)


SERVING = (
    ("good requests/s", ("goodput_rps",)),
    ("TTFT p95, s", ("ttft_s", "p95")),
    ("TPOT p95, s", ("tpot_s", "p95")),
)


def draw_serving(results: Sequence[dict[str, Any]], path: Path) -> None:
    """A row a model, a panel a figure, a line an engine, over the number of users."""
    figure, axes = plt.subplots(
        len(results),
        len(SERVING),
        figsize=(11, 0.8 + 2.7 * len(results)),
        squeeze=False,
        layout="constrained",
    )
    for line, result in zip(axes, results, strict=True):
        users = [row["users"] for row in result["rows"]]
        for axis, (title, keys) in zip(line, SERVING, strict=True):
            for engine in result["rows"][0]["engines"]:
                values = [_at(row["engines"].get(engine), keys) for row in result["rows"]]
                axis.plot(users, values, marker="o", label=engine)
            axis.set_xscale("log", base=2)
            axis.set_xticks(users, [f"{n:g}" for n in users])
            axis.set_ylim(bottom=0)
            axis.set_title(title, fontsize=10)
            axis.spines[["top", "right"]].set_visible(False)
        line[0].set_ylabel(result["model"].removesuffix(".gguf"), fontsize=8)
        line[0].legend(fontsize=8)
    figure.supxlabel("users", fontsize=9)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def _at(figures: Any, keys: Sequence[str]) -> float:
    for key in keys:
        figures = figures[key] if figures is not None else None
    return float("nan") if figures is None else float(figures)


def _label(row: dict[str, Any]) -> str:
    ours, theirs = (row["engines"][name]["median"] for name in ("sillar", PEER))
    return f"{row['ratios'][PEER]:.2f}  ({_short(ours)} / {_short(theirs)})"


def _short(speed: float) -> str:
    return f"{speed:.0f}" if speed >= 100 else f"{speed:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("results", nargs="+", type=Path)
    parser.add_argument("picture", type=Path)
    arguments = parser.parse_args()
    models: dict[str, dict[str, Any]] = {}
    for path in arguments.results:
        for model in json.loads(path.read_text())["models"]:
            models.setdefault(model["model"], {**model, "rows": []})["rows"] += model["rows"]
    draw(list(models.values()), arguments.picture)


if __name__ == "__main__":
    main()
