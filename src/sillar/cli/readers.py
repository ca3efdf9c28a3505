"""readers: who may read which collection of an index."""

from __future__ import annotations

from typing import Annotated

import typer

from sillar.cli import options
from sillar.cli.documents import Folder, IndexFile
from sillar.cli.output import print_json, results
from sillar.documents import default_index_path
from sillar.documents.store.readers import change_readers, read_readers
from sillar.errors import ConfigError, DocumentError


def register(app: typer.Typer) -> None:
    """Adds this file's commands."""
    app.command()(readers)


def readers(
    folder: Folder,
    collection: Annotated[
        str | None, typer.Argument(metavar="[COLLECTION]", help="As `sillar index --collection` named it.")
    ] = None,
    allow: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help='A key or tenant, or "*". May be repeated.')
    ] = None,
    deny: Annotated[list[str] | None, typer.Option(metavar="NAME", help="May be repeated.")] = None,
    index_file: IndexFile = None,
    as_json: options.JsonFlag = False,
) -> None:
    """Who may read which collection when the folder is served; --allow and --deny change it, also meanwhile.

    Example: sillar readers ~/manuals pumps --allow ana --allow bob
    """
    path = index_file or default_index_path(folder)
    if not path.is_file():
        raise DocumentError(f"{folder} has no index yet. Type: sillar index {folder}")
    if (allow or deny) and collection is None:
        raise ConfigError("say which collection: sillar readers DIR COLLECTION --allow NAME")
    if collection is not None and (allow or deny):
        change_readers(path, collection, allow or (), deny or ())
    found = {name: who for name, who in read_readers(path).items() if collection in (None, name)}
    if collection is not None and not found:
        raise ConfigError(f"there is no collection {collection!r}")
    if as_json:
        print_json(found)
        return
    for name, who in found.items():
        others = ", ".join(who) or ("nobody else" if name else "everyone")
        results.print(f"{name or '(the folder itself)'}: {others}")
