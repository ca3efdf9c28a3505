"""fetch: pages of the web into the index of a folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from sillar.cli import options
from sillar.cli.documents import Folder, IndexFile, tell_report
from sillar.cli.load import embedder, run
from sillar.cli.output import note, print_json, progress_bar
from sillar.config import EngineConfig, load_config
from sillar.documents import FetchRules, Index, IndexReport, WebPages, default_index_path, make_rules
from sillar.errors import ConfigError

_MAX_FILE = 4 << 20
_PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")


def register(app: typer.Typer) -> None:
    """Adds this file's commands."""
    app.command()(fetch)


def fetch(
    folder: Folder,
    url: Annotated[list[str] | None, typer.Argument(metavar="[URL]...", help="Pages to fetch.")] = None,
    urls: Annotated[
        Path | None, typer.Option(metavar="FILE", help="More of them, one a line; # begins a comment.")
    ] = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST", help="Fetch from this host, or HOST:PORT. May be repeated."),
    ] = None,
    allow_network: Annotated[
        list[str] | None,
        typer.Option(metavar="CIDR", help="Private addresses that the hosts may have. May be repeated."),
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take these pages out instead.")] = False,
    index_file: IndexFile = None,
    threads: options.Threads = None,
    isa: options.Isa = None,
    as_json: options.JsonFlag = False,
) -> None:
    """Fetch pages of the web into a folder's index; without URLs, those that are in it again.

    Only hosts that are allowed, here or in the settings (web.hosts), are asked, also where a page redirects.
    A page that did not change is not embedded again; one that is gone (404, 410) is taken out.

    Examples: sillar fetch ~/manuals https://docs.example.com/faq --allow docs.example.com
    """
    config = load_config()
    engine = options.engine_config(config.engine, threads, isa)
    path = index_file or default_index_path(folder)
    wanted = [*(url or ()), *(_listed(urls) if urls else ())]
    rules = make_rules(allow or (), allow_network or (), config.web)
    if remove:
        if not wanted:
            raise ConfigError("--remove takes the URLs of the pages to take out")
        count = run(_remove(path, config.models.embedder, engine, wanted))
        print_json({"index": str(path), "removed": count}) if as_json else note(f"{count} taken out")
        return
    if not rules.hosts:
        raise ConfigError("no host is allowed: add --allow HOST for each that may be fetched from")
    report = run(_fetch((path, config.models.embedder, engine), rules, wanted))
    tell_report("pages", path, report, as_json=as_json, verb="fetched")
    if report.failed and not rules.proxy and any(os.environ.get(name) for name in _PROXIES):
        note("A proxy of the environment is not used by itself: SILLAR_WEB_PROXY=$HTTPS_PROXY takes it.")


def _listed(file: Path) -> list[str]:
    """The URLs of a file. Raises ConfigError where it cannot be read."""
    try:
        if file.stat().st_size > _MAX_FILE:
            raise ConfigError(f"{file} is larger than {_MAX_FILE >> 20} MiB")
        lines = file.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: {getattr(error, 'strerror', None) or 'it is no text'}") from None
    return [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]


async def _fetch(
    loaded_from: tuple[Path, str, EngineConfig], rules: FetchRules, urls: list[str]
) -> IndexReport:
    path, model, engine = loaded_from
    async with embedder(model, engine) as loaded, Index.open(path, loaded, update=True) as opened:
        pages = WebPages(opened, rules)
        if urls:
            wanted = await pages.queue(urls)
        else:
            wanted = list(dict.fromkeys([*await pages.known(), *await pages.queued()]))
        with progress_bar("fetching") as update:
            return await pages.fetch(wanted, lambda step: update(step.file, step.done, step.total))


async def _remove(path: Path, model: str, engine: EngineConfig, urls: list[str]) -> int:
    async with embedder(model, engine) as loaded, Index.open(path, loaded, update=True) as opened:
        return await WebPages(opened, FetchRules()).remove(urls)
