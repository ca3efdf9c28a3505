"""The command's entry point: the list of commands, and errors turned into one line and an exit code."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

import sillar
from sillar.cli.output import note
from sillar.errors import ConfigError, DocumentError, ModelError, RequestError, ResourceError, SillarError

EXIT_CODES: tuple[tuple[type[SillarError], int], ...] = (
    (ConfigError, 2),
    (ModelError, 3),
    (DocumentError, 4),
    (ResourceError, 5),
    (RequestError, 6),
)
"""0 is success, 1 any other failure, 2 also a wrong command line, 130 Ctrl-C."""

HELP = """Language models on this machine's processor, and cited answers from your documents.

Begin with: sillar pull smollm2-135m-instruct multilingual-e5-small

Exit codes: 0 done; 1 failed; 2 wrong command line or setting; 3 a model is missing, damaged or cannot be
had; 4 a document cannot be read; 5 not enough memory or disk; 6 a request that cannot be served; 130 Ctrl-C.
"""

COMMANDS = {
    **{"pull": "models", "models": "models", "remove": "models"},
    **{"cache": "cache"},
    **{"doctor": "machine", "bench": "machine"},
    **{"generate": "generate", "chat": "chat"},
    **{"index": "documents", "ask": "documents", "fetch": "web", "readers": "readers"},
    **{"serve": "serve", "key": "serve"},
}
"""Command -> the module here that has it; only the one that is asked for is imported."""


@dataclass
class Session:
    """What the command line said before the command's name."""

    debug: bool = False


def _print_version(asked: bool) -> None:
    if asked:
        print(f"sillar {sillar.__version__}")
        raise typer.Exit


def _options(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    context.obj.debug = debug


def version() -> None:
    """Print the version."""
    _print_version(True)


def build(arguments: Sequence[str]) -> typer.Typer:
    """The application with the command that `arguments` name, or with all where that is not clear."""
    app = typer.Typer(
        help=HELP,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        add_completion=False,
    )
    app.callback()(_options)
    named = next((argument for argument in arguments if not argument.startswith("-")), "")
    modules = [COMMANDS[named]] if named in COMMANDS else dict.fromkeys(COMMANDS.values())
    for module in modules:
        importlib.import_module(f"sillar.cli.{module}").register(app)
    app.command()(version)
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command line, this process's by default, and exits."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    session = Session()
    try:
        build(arguments)(arguments, prog_name="sillar", obj=session)
    except SillarError as error:
        if session.debug:
            raise
        note(f"sillar: {error}")
        sys.exit(exit_code(error))
    except Exception as error:
        if session.debug:
            raise
        name = type(error).__name__
        note(f"sillar: this is a defect: {name}: {error} (sillar --debug ... shows where)")
        sys.exit(1)


def exit_code(error: SillarError) -> int:
    """The process's exit code for an error."""
    return next((code for kind, code in EXIT_CODES if isinstance(error, kind)), 1)
