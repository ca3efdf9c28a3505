"""One picture of compare.py's result: for each model, Sillar's speed over llama.cpp's in each workload."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

SPEEDS = ("prefill", "decode", "batched")
COLOURS = {"prefill": "#2f6f8f", "decode": "#c2703d", "batched": "#6b8e4e"}


def draw(results: Sequence[dict[str, Any]], path: Path) -> None:
    """A panel a model; a bar a workload that is a speed, labelled with both engines' tokens/s."""
    figure, axes = plt.subplots(
        1, len(results), figsize=(1.5 + 4.2 * len(results), 4.2), squeeze=False, layout="constrained"
    )
    for axis, result in zip(axes[0], results, strict=True):
        rows = [row for row in result["rows"] if row["workload"] in SPEEDS]
        names = [f"{row['workload']} {row['size']}" for row in rows]
        bars = axis.barh(
            names, [row["ratio"] for row in rows], color=[COLOURS[row["workload"]] for row in rows]
        )
        axis.bar_label(bars, [_label(row) for row in rows], padding=3, fontsize=8)
        axis.axvline(1, color="black", linewidth=0.8)
        axis.set_xlim(0, 1.5 * max([row["ratio"] for row in rows], default=1))
        axis.invert_yaxis()
        axis.set_title(result["model"].removesuffix(".gguf"), fontsize=10)
        axis.spines[["top", "right"]].set_visible(False)
    figure.supxlabel("speed of Sillar / speed of llama.cpp (labels: tokens/s of each)", fontsize=9)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def _label(row: dict[str, Any]) -> str:
    ours, theirs = (figures["median"] for figures in row["engines"].values())
    return f"{row['ratio']:.2f}  ({ours:.0f} / {theirs:.0f})"
