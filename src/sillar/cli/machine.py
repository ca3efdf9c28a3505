"""doctor, bench: what this machine is, and how fast a model runs on it."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    """Adds this file's commands."""
