"""Where output goes: results to stdout, everything said to a person beside them to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TextColumn

messages = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
results = Console(highlight=False, markup=False, soft_wrap=True)


def note(text: str) -> None:
    """One line for a person."""
    messages.print(text)


def print_json(value: Any) -> None:
    """One JSON object on one line."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
    sys.stdout.flush()


@contextmanager
def progress_bar(label: str, *, unit_bytes: bool = False) -> Iterator[Callable[[str, int, int | None], None]]:
    """Gives update(stage, done, total); draws on a terminal only, and leaves nothing behind."""
    amount = DownloadColumn() if unit_bytes else TextColumn("{task.completed}/{task.total}")
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), amount)
    with Progress(*columns, console=messages, transient=True, disable=not messages.is_terminal) as bar:
        task = bar.add_task(label, total=None)

        def update(stage: str, done: int, total: int | None) -> None:
            bar.update(task, description=f"{label}: {stage}", completed=done, total=total)

        yield update


@contextmanager
def status(text: str) -> Iterator[Callable[[str], None]]:
    """Shows what is going on, on a terminal only; gives update(text)."""
    with messages.status(text) as shown:
        yield shown.update
