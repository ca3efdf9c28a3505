"""index, ask: answers from a folder of documents."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from sillar.cli import options
from sillar.cli.load import embedder, run
from sillar.cli.output import note, print_json, progress_bar
from sillar.config import EngineConfig, load_config
from sillar.documents import Index, IndexReport, default_index_path

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="A folder of documents.")]
IndexFile = Annotated[
    Path | None, typer.Option("--index", help="The index file; else one in the data folder.")
]


def register(app: typer.Typer) -> None:
    """Adds this file's commands."""
    app.command()(index)


def index(
    folder: Folder,
    index_file: IndexFile = None,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Start anew.")] = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Read failed files again.")] = False,
    threads: options.Threads = None,
    isa: options.Isa = None,
    as_json: options.JsonFlag = False,
) -> None:
    """Read a folder of documents into an index; a second time, only what changed.

    Reads text, Markdown, HTML and PDF. Files that cannot be read are named with the reason.

    Example: sillar index ~/manuals
    """
    config = load_config()
    engine = options.engine_config(config.engine, threads, isa)
    path = index_file or default_index_path(folder)
    report = run(_index(folder, path, config.models.embedder, engine, rebuild=rebuild, retry=retry_failed))
    failed = report.failed or {}
    if as_json:
        print_json({"index": str(path), **asdict(report), "failed": failed})
        return
    for file, reason in sorted(failed.items()):
        note(f"not read: {file}: {reason}")
    note(
        f"{folder}: {report.read} read, {report.unchanged} unchanged, {report.moved} moved, "
        f"{report.deleted} gone, {len(failed)} failed; {report.chunks} new passages in {report.seconds:.1f} s"
    )


async def _index(
    folder: Path, path: Path, model: str, engine: EngineConfig, *, rebuild: bool, retry: bool
) -> IndexReport:
    async with embedder(model, engine) as loaded, Index.open(path, loaded, rebuild=rebuild) as opened:
        with progress_bar(str(folder)) as update:
            return await opened.add_folder(
                folder, lambda step: update(step.file, step.done, step.total), retry_failed=retry
            )
