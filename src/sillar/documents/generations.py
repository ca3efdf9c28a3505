"""An index's path names its current generation: a link that is moved in one step to a new file once that is
whole. Whoever has the old file open goes on with it.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

_SUFFIXES = ("", "-wal", "-shm")


def shadow_of(path: Path) -> Path:
    """Where the next generation is built; the same until it has taken over, so that building can go on."""
    current = Path(os.path.realpath(path)).name
    match = re.fullmatch(r".*\.g(\d+)" + re.escape(path.suffix), current)
    return path.with_name(f"{path.stem}.g{int(match.group(1)) + 1 if match else 1}{path.suffix}")


def switch(path: Path, shadow: Path) -> None:
    """Makes `shadow` the current generation, at one stroke, and removes the one before."""
    before = Path(os.path.realpath(path))
    if before == shadow.resolve():
        return
    link = path.with_name(f".{path.name}.link")
    link.unlink(missing_ok=True)
    link.symlink_to(shadow.name)
    _sync(path.parent)
    link.replace(path)
    _sync(path.parent)
    # A first generation was the path itself: the link has replaced it, its log lies there still.
    remove(before, only_beside=before.name == path.name)


def remove(path: Path, *, only_beside: bool = False) -> None:
    """Deletes an index file with its log; `only_beside`: the log alone."""
    for suffix in _SUFFIXES[1:] if only_beside else _SUFFIXES:
        Path(f"{path}{suffix}").unlink(missing_ok=True)


def remove_all(path: Path) -> None:
    """Deletes every generation of an index."""
    for other in path.parent.glob(f"{path.stem}.g*{path.suffix}"):
        if re.fullmatch(re.escape(path.stem) + r"\.g\d+" + re.escape(path.suffix), other.name):
            remove(other)
    remove(path)


def identity(path: Path) -> tuple[int, int]:
    """Which file the path names now; (0, 0) for none."""
    try:
        status = path.stat()
    except OSError:
        return (0, 0)
    return (status.st_dev, status.st_ino)


def _sync(folder: Path) -> None:
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
