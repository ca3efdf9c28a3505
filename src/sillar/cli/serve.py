"""serve, key: the HTTP server, and keys for its clients."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from sillar.cli import options
from sillar.cli.load import pulled_reranker
from sillar.cli.output import note, results
from sillar.config import load_config
from sillar.errors import ConfigError
from sillar.server.auth import SCOPES, new_key
from sillar.server.options import Limits, ServerOptions
from sillar.server.run import run as run_server


def register(app: typer.Typer) -> None:
    """Adds this file's commands."""
    app.command()(serve)
    app.command()(key)


def serve(
    folder: Annotated[Path | None, typer.Argument(metavar="[DIR]", help="Documents to answer from.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Follow changes of DIR while it is served.")] = False,
    host: Annotated[
        str, typer.Option(help="Where to listen; beyond this machine only with --keys.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535)] = 8080,
    model: Annotated[list[str] | None, typer.Option("--model", "-m", help="May be repeated.")] = None,
    embedder: Annotated[list[str] | None, typer.Option(help="May be repeated.")] = None,
    reranker: Annotated[
        list[str] | None,
        typer.Option(help="May be repeated; else the default one, where it has been pulled."),
    ] = None,
    rerank_answers: Annotated[
        bool, typer.Option(help="Rerank passages for English questions: better, 0.1 s slower.")
    ] = False,
    keys: Annotated[Path | None, typer.Option(help="TOML file of API keys; see `sillar key`.")] = None,
    allowed_host: Annotated[list[str] | None, typer.Option(help="A further name of this server.")] = None,
    otel: Annotated[
        bool, typer.Option("--otel", help="Send OpenTelemetry traces; OTEL_* variables say where.")
    ] = False,
    threads: options.Threads = None,
    isa: options.Isa = None,
    context: options.Context = None,
    kv_type: options.KvType = None,
    kv_spill: Annotated[
        Path | None, typer.Option(help="Keep the prefix cache in this folder, for the next start.")
    ] = None,
    kv_spill_bytes: Annotated[
        int | None, typer.Option(min=0, help="What that folder may take, for each model; 4 GiB.")
    ] = None,
) -> None:
    """Serve models over HTTP, with the API that OpenAI's clients speak.

    Examples: sillar serve; sillar serve ~/manuals --host 0.0.0.0 --keys keys.toml
    """
    config = load_config()
    spill = {"kv_spill": kv_spill and str(kv_spill), "kv_spill_bytes": kv_spill_bytes}
    engine = options.engine_config(config.engine, threads, isa, context, kv_type, **spill)
    server = ServerOptions(
        host=host,
        port=port,
        chat_models=tuple(model or [config.models.chat]),
        embedders=tuple(embedder or [config.models.embedder]),
        rerank_answers=rerank_answers,
        rerankers=tuple(reranker or pulled_reranker(config.models)),
        documents=folder,
        watch=watch,
        keys=keys,
        allowed_hosts=tuple(allowed_host or ()),
        traces=otel,
        limits=Limits(
            running=engine.running, waiting=engine.waiting, first_token_seconds=engine.first_token_seconds
        ),
        config=replace(config, engine=engine),
    )
    raise typer.Exit(run_server(server, note))


def key(
    name: Annotated[str, typer.Argument(help="Whose key it is.")],
    tenant: Annotated[str, typer.Option(help="Tenants share nothing; else the name.")] = "",
    scope: Annotated[list[str] | None, typer.Option(help="May be repeated; else all.")] = None,
    origin: Annotated[
        list[str] | None, typer.Option(help="A site whose pages carry the key in the open, for the widget.")
    ] = None,
) -> None:
    """Make an API key: the entry for the keys' file goes to stdout, the key itself to stderr, once.

    Examples: sillar key alice --scope generate >> keys.toml; sillar key shop --origin https://shop.example
    """
    scopes = sorted(scope or ({"ask"} if origin else SCOPES))
    if unknown := set(scopes) - SCOPES:
        raise ConfigError(
            f"unknown scope {', '.join(sorted(unknown))}; there are: {', '.join(sorted(SCOPES))}"
        )
    secret, digest = new_key()
    entry = {"name": name, "sha256": digest, "tenant": tenant or name, "scopes": scopes}
    entry["created"] = datetime.now(UTC).date().isoformat()
    if origin:
        entry["origins"] = origin
    lines = [f"{field} = {json.dumps(value, ensure_ascii=False)}" for field, value in entry.items()]
    results.print("\n".join(["[[key]]", *lines, ""]))
    note(f"The key, shown only now: {secret}")
