"""What compare.py says about its samples: shares of the machine's limits, a line as it goes, the table."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sillar.engine.native import read_metadata, read_spec
from sillar.model_spec import ModelSpec


def model_spec(path: Path) -> ModelSpec:
    return read_spec(path, read_metadata(path))


def add_shares(result: dict[str, Any], path: Path, limits: dict[str, Any], threads: int) -> None:
    """Adds `share` to the engines of prefill and decode rows: of the int8 peak, of the read bandwidth.

    A prefill token costs its products with the layers' matrices (the output matrix serves the last one only)
    and no attention; a decode step reads the matrices once and every stream's cache.
    """
    spec = model_spec(path)
    which = "all" if threads > 1 else "one"
    best = {
        what: max(isa[what][which]["best"] for isa in limits.values()) for what in ("int8", "read") if limits
    }
    for row in result["rows"]:
        for figures in row["engines"].values():
            if row["workload"] == "prefill":
                operations = 2 * (spec.matrix_weights - spec.vocab_size * spec.hidden) * figures["median"]
                figures["share"] = operations / best["int8"] / 1e12
            elif row["workload"] == "decode":
                figures["share"] = spec.decode_bytes(row["size"]) * figures["median"] / best["read"] / 1e9


def line(row: dict[str, Any]) -> str:
    parts = [f"{engine} {_figure(figures)}" for engine, figures in row["engines"].items()]
    ratios = "".join(f", {ratio:.2f} of {peer}" for peer, ratio in row["ratios"].items())
    return f"{row['workload']} {row['size']}: {', '.join(parts)} {row['unit']}{ratios}"


def table(results: Sequence[dict[str, Any]]) -> str:
    """Markdown: an engine's column has its figure, its share of the machine's limit, and our ratio to it."""
    lines = []
    for result in results:
        names = list(dict.fromkeys(name for row in result["rows"] for name in row["engines"]))
        lines += [f"**{result['model']}**", "", f"| workload | | {' | '.join(names)} |"]
        lines += ["|---" * (len(names) + 2) + "|"]
        for row in result["rows"]:
            cells = [_cell(row, name) if name in row["engines"] else "-" for name in names]
            lines.append(f"| {row['workload']} {row['size']} | {row['unit']} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def _cell(row: dict[str, Any], engine: str) -> str:
    figures = row["engines"][engine]
    share = f", {figures['share']:.0%} of the limit" if "share" in figures else ""
    ratio = f"; **{row['ratios'][engine]:.2f}**" if engine in row["ratios"] else ""
    return _figure(figures) + share + ratio


def p95(values: Sequence[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * 0.95))]


def drop_from_page_cache(path: Path) -> None:
    """Asks the system to forget a file's pages; those that some process has mapped stay."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(file)


def _figure(figures: dict[str, float]) -> str:
    value = figures["median"]
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    spread = f" ±{figures['spread']:.0%}" if figures["n"] > 1 else ""
    return f"{value:.{digits}f}{spread}"
