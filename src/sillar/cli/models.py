"""pull, models, remove: the models on this machine."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from sillar import hub
from sillar.cli.output import note, print_json, progress_bar, results

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Adds this file's commands."""
    app.command()(pull)
    app.command()(models)
    app.command()(remove)


def pull(
    names: Annotated[list[str], typer.Argument(metavar="NAME|hf:OWNER/REPO/FILE|PATH...")],
) -> None:
    """Bring models here: by name, from the model hub, or from a file.

    A pull that was cut off goes on where it stopped, and what arrives is checked against its hash.

    Examples: sillar pull smollm2-135m-instruct; sillar pull hf:Qwen/Qwen3-0.6B-GGUF/Qwen3-0.6B-Q8_0.gguf
    """
    for name in names:
        note(f"{name}: {_pull(name)}")


def models(as_json: JsonFlag = False) -> None:
    """List the models known by name, and those that are here."""
    local = {model.name: model for model in hub.local_models()}
    entries = hub.catalogue()
    rows = [_row(name, entries.get(name), local.get(name)) for name in sorted({*entries, *local})]
    if as_json:
        print_json({"models": rows})
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("name", "here", "kind", "licence", "size"):
        table.add_column(heading, no_wrap=True, justify="right" if heading == "size" else "left")
    table.add_column("description")
    for row in rows:
        size = f"{row['size'] / 1e6:,.0f} MB" if row["size"] else ""
        here = "yes" if row["path"] else ""
        table.add_row(row["name"], here, row["kind"], row["licence"], size, row["description"])
    results.print(table)


def remove(names: Annotated[list[str], typer.Argument(metavar="NAME...")]) -> None:
    """Delete models from the cache."""
    for name in names:
        note(f"{name}: {hub.remove(name) / 1e6:,.0f} MB freed")


def _pull(name: str) -> Path:
    with progress_bar(name, unit_bytes=True) as update:
        return hub.pull(name, lambda event: update(event.stage, event.done, event.total))


def _row(name: str, entry: hub.ModelEntry | None, local: hub.LocalModel | None) -> dict[str, Any]:
    known = asdict(entry) if entry else {}
    return {
        "name": name,
        "kind": known.get("kind", ""),
        "licence": known.get("licence", ""),
        "languages": known.get("languages", ()),
        "description": known.get("description", ""),
        "size": local.size if local else known.get("size"),
        "sha256": known.get("sha256"),
        "path": str(local.path) if local else None,
    }
