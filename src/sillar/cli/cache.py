"""cache: the packed weights that are kept on disk for a fast start."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from sillar.cli.output import note, print_json, results
from sillar.engine.packed_cache import clear_kept_weights, kept_weights, packed_dir


def register(app: typer.Typer) -> None:
    """Adds this file's commands."""
    app.command()(cache)


def cache(
    clear: Annotated[bool, typer.Option("--clear", help="Delete them; the next start packs anew.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the packed weights kept on disk, or clear them.

    Large models are packed once; later starts map what is kept. Example: sillar cache --clear
    """
    if clear:
        note(f"{clear_kept_weights() / 1e6:,.0f} MB freed")
        return
    kept = kept_weights()
    if as_json:
        rows = [{"model": item.model, "path": str(item.path), "bytes": item.bytes} for item in kept]
        print_json({"packed_weights": rows})
        return
    if not kept:
        note(f"No packed weights in {packed_dir()}.")
        return
    table = Table("model", "size", box=None, pad_edge=False)
    for item in kept:
        table.add_row(Path(item.model).name, f"{item.bytes / 1e6:,.0f} MB")
    results.print(table)
