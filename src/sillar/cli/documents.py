"""index, ask: answers from a folder of documents."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack, suppress
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from sillar.cli import options
from sillar.cli.load import embedder, language_model, run
from sillar.cli.output import note, print_json, progress_bar
from sillar.config import EngineConfig, load_config
from sillar.documents import (
    Answer,
    AnswerOptions,
    Citation,
    FileChange,
    Follower,
    Index,
    IndexReport,
    default_index_path,
    stream_answer,
)
from sillar.errors import DocumentError

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="A folder of documents.")]
IndexFile = Annotated[
    Path | None, typer.Option("--index", help="The index file; else one in the data folder.")
]


class Style(StrEnum):
    """How an answer is made; see sillar.documents.AnswerOptions."""

    auto = "auto"
    quote = "quote"
    generate = "generate"


def register(app: typer.Typer) -> None:
    """Adds this file's commands."""
    app.command()(index)
    app.command()(ask)


def index(
    folder: Folder,
    index_file: IndexFile = None,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Start anew.")] = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Read failed files again.")] = False,
    collection: Annotated[
        str, typer.Option(help="What the folder is called in an index of several; see `sillar readers`.")
    ] = "",
    watch: Annotated[bool, typer.Option("--watch", help="Stay, and follow changes until Ctrl-C.")] = False,
    threads: options.Threads = None,
    isa: options.Isa = None,
    as_json: options.JsonFlag = False,
) -> None:
    """Read a folder of documents into an index; a second time, only what changed.

    Reads PDF, Word, PowerPoint, Excel, CSV, OpenDocument, EPUB, mail, HTML, Markdown, text, and zip files of
    these. Files that cannot be read are named with the reason.

    Examples: sillar index ~/manuals; sillar index /srv/share --watch
    """
    config = load_config()
    engine = options.engine_config(config.engine, threads, isa)
    path = index_file or default_index_path(folder)

    def indexed(report: IndexReport) -> None:
        tell_report(str(folder), path, report, as_json=as_json)

    def changed(change: FileChange) -> None:
        if as_json:
            print_json(asdict(change))
        else:
            note(str(change))

    tell = changed if watch else None
    loaded = (path, config.models.embedder, engine)
    run(_index((folder, collection), loaded, indexed, tell, rebuild=rebuild, retry=retry_failed))


def tell_report(source: str, path: Path, report: IndexReport, *, as_json: bool, verb: str = "read") -> None:
    """What was read from a folder or the web, and what was not and why."""
    failed = report.failed or {}
    if as_json:
        print_json({"index": str(path), **asdict(report), "failed": failed})
        return
    for file, reason in sorted(failed.items()):
        note(f"not {verb}: {file}: {reason}")
    note(
        f"{source}: {report.read} {verb}, {report.unchanged} unchanged, {report.moved} moved, "
        f"{report.deleted} gone, {len(failed)} failed; {report.chunks} new passages in {report.seconds:.1f} s"
    )


def ask(
    folder: Folder,
    question: Annotated[str, typer.Argument(help="In any language that the embedder knows.")],
    index_file: IndexFile = None,
    style: Annotated[Style, typer.Option(help="Quote, generate, or both where supported.")] = Style.auto,
    passages: Annotated[int, typer.Option(min=1, max=64, help="Passages to answer from.")] = 4,
    never_abstain: Annotated[
        bool, typer.Option("--never-abstain", help="Answer even where hardly anything supports it.")
    ] = False,
    model: options.Model = "",
    threads: options.Threads = None,
    isa: options.Isa = None,
    context: options.Context = None,
    kv_type: options.KvType = None,
    as_json: options.JsonFlag = False,
) -> None:
    """Answer a question from an indexed folder, with citations, or say that it does not know.

    Example: sillar ask ~/manuals "How often is the filter changed?" --json
    """
    config = load_config()
    engine = options.engine_config(config.engine, threads, isa, context, kv_type)
    path = index_file or default_index_path(folder)
    if not path.is_file():
        raise DocumentError(f"{folder} has no index yet. Type: sillar index {folder}")
    chat = "" if style is Style.quote else model or config.models.chat
    wanted = AnswerOptions(style=style.value, passages=passages, abstain=not never_abstain)
    answer = run(_ask(question, path, (config.models.embedder, chat), engine, wanted, show=not as_json))
    if as_json:
        print_json(answer.to_json())
    else:
        _show(answer)


async def _index(
    source: tuple[Path, str],
    loaded_from: tuple[Path, str, EngineConfig],
    indexed: Callable[[IndexReport], None],
    tell: Callable[[FileChange], None] | None,
    *,
    rebuild: bool,
    retry: bool,
) -> None:
    """Indexes a folder as a collection once and, where somebody is to be told of changes, stays until a
    signal.
    """
    folder, collection = source
    path, model, engine = loaded_from
    async with (
        embedder(model, engine) as loaded,
        Index.open(path, loaded, rebuild=rebuild, update=True) as opened,
    ):
        with progress_bar(str(folder)) as update:
            report = await opened.add_folder(
                folder,
                lambda step: update(step.file, step.done, step.total),
                collection=collection,
                retry_failed=retry,
            )
        indexed(report)
        if tell is not None:
            follower = Follower(opened, folder, tell, collection=collection)
            await _until_signal(follower.run(), lambda: note(f"Following {folder} ..."))


async def _until_signal(work: Coroutine[Any, Any, None], ready: Callable[[], None]) -> None:
    """Runs until Ctrl-C or SIGTERM, which end it in peace; `ready` is called once they do."""
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(work)
    signals = (signal.SIGINT, signal.SIGTERM)
    for number in signals:
        loop.add_signal_handler(number, task.cancel)
    try:
        ready()
        with suppress(asyncio.CancelledError):
            await task
    finally:
        task.cancel()
        for number in signals:
            loop.remove_signal_handler(number)


async def _ask(
    question: str,
    path: Path,
    models: tuple[str, str],
    engine: EngineConfig,
    wanted: AnswerOptions,
    *,
    show: bool,
) -> Answer:
    """The answer, written to stdout as it comes if `show`; `models`: embedder, and chat model or ""."""
    async with AsyncExitStack() as stack:
        loaded = await stack.enter_async_context(embedder(models[0], engine))
        index = await stack.enter_async_context(Index.open(path, loaded))
        if index.stale:
            note(f"The index is out of date: {index.stale}. Type: sillar index DIR")
        model = await stack.enter_async_context(language_model(models[1], engine)) if models[1] else None
        async for event in stream_answer(question, index, model, wanted):
            if show:
                sys.stdout.write(event.text)
                sys.stdout.flush()
            if event.answer is not None:
                return event.answer
    raise AssertionError("an answer's last event holds the answer")


def _show(answer: Answer) -> None:
    lines = ["", *(line for citation in answer.citations for line in _citation(citation))]
    if answer.nearest:
        lines += ["", "Nearest; they may not answer it:"]
        lines += [line for citation in answer.nearest for line in _citation(citation)]
    sys.stdout.write("\n".join(lines) + "\n")
    timings, tokens = answer.timings, answer.tokens
    note(
        f"retrieved in {timings['retrieve']:.2f} s, first words after {timings['ttft']:.2f} s, "
        f"all after {timings['total']:.2f} s; {tokens['prompt']} + {tokens['completion']} tokens"
    )


def _citation(citation: Citation) -> tuple[str, str, str]:
    places = [
        _numbered("page", citation.page, citation.last_page) if citation.page else "",
        citation.section,
        _numbered("line", *citation.lines) if citation.lines else "",
    ]
    where = ", ".join([citation.document, *filter(None, places)])
    return "", f"[{citation.number}] {where}", f'    "{citation.quote}"'


def _numbered(name: str, first: int, last: int | None) -> str:
    return f"{name} {first}" if last in (None, first) else f"{name}s {first}-{last}"
