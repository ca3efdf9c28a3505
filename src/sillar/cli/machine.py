"""doctor, bench: what this machine is to Sillar, and how fast a model runs on it."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer
from rich.table import Table

from sillar import bench as measuring
from sillar import doctor as examining
from sillar import hub
from sillar.cli.load import native_options
from sillar.cli.options import Isa, JsonFlag, KvType, Model, Threads, engine_config
from sillar.cli.output import note, print_json, results, status
from sillar.config import load_config
from sillar.engine import native


def register(app: typer.Typer) -> None:
    """Adds this file's commands."""
    app.command()(doctor)
    app.command()(bench)


def doctor(isa: Isa = None, as_json: JsonFlag = False) -> None:
    """Say what this machine has, what Sillar uses of it, and why."""
    config = engine_config(load_config().engine, isa=isa)
    found = examining.report(native.cpu_info(), native.chosen_isas(config.isa), hub.cache_dir())
    if as_json:
        print_json(found)
        return
    table = Table.grid(padding=(0, 2))
    for subject, text in examining.lines(found):
        table.add_row(subject, text)
    results.print(table)


def bench(
    model: Model = "",
    tokens: Annotated[str, typer.Option(help="Prompt sizes and contexts.")] = "128,512,2048",
    decode_tokens: Annotated[int, typer.Option(min=1, help="Tokens drawn in a run of decoding.")] = 64,
    repeats: Annotated[int, typer.Option(min=1, help="Runs a figure is the median of.")] = 5,
    threads: Threads = None,
    isa: Isa = None,
    kv_type: KvType = None,
    as_json: JsonFlag = False,
) -> None:
    """Measure prefill and decode of one sequence, in tokens per second.

    A figure is the median of the runs; its spread is half the distance between the quartiles over the median.

    Example: sillar bench --model smollm2-135m-instruct --tokens 512 --json
    """
    options = measuring.BenchOptions(_sizes(tokens), decode_tokens, repeats)
    config = load_config()
    engine = engine_config(config.engine, threads, isa, kv_type=kv_type)
    name = model or config.models.chat
    path = hub.resolve(name)
    with status(f"loading {name}") as update:
        begin = time.perf_counter()
        decoder = native.load_decoder(path, native_options(engine))
        load_s = time.perf_counter() - begin
        measured = measuring.measure(decoder, options, update)
    result = {
        "model": name,
        "threads": decoder.threads,
        "isa": native.chosen_isas(engine.isa)["matmul"],
        "load_s": round(load_s, 3),
        **measured,
    }
    if as_json:
        print_json(result)
    else:
        _show(result)


def _sizes(text: str) -> tuple[int, ...]:
    try:
        sizes = tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        sizes = ()
    if not sizes or sizes[0] < 1:
        raise typer.BadParameter(f"{text!r} is not a list of sizes such as 128,512", param_hint="--tokens")
    return sizes


def _show(result: dict[str, Any]) -> None:
    isa, load_s = result["isa"], result["load_s"]
    note(f"{result['model']}: {result['threads']} threads, {isa}, loaded in {load_s:.2f} s")
    table = Table(box=None, pad_edge=False)
    for heading in ("", "tokens", "tokens/s", "spread"):
        table.add_column(heading, justify="right" if heading else "left")
    for kind, size in (("prefill", "tokens"), ("decode", "context")):
        for row in result[kind]:
            speed = f"{row['tokens_per_second']:,.1f}"
            table.add_row(kind, str(row[size]), speed, f"{100 * row['spread']:.1f} %")
    results.print(table)
    note(f"Median of the runs; spread: {result['spread']}.")
