"""The cache folder: where pulled models live, locks between processes, atomic files, free disk."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import platformdirs
from filelock import FileLock

from sillar.errors import ResourceError

_DISK_RESERVE = 64 << 20
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class ProgressEvent:
    """How far a pull is. `stage` is download, unpack, verify or convert; `total` (bytes) may be unknown."""

    stage: str
    done: int
    total: int | None = None


Progress = Callable[[ProgressEvent], None]


def silent(event: ProgressEvent) -> None:
    """The progress callback that shows nothing."""


def cache_dir() -> Path:
    """The folder that holds everything pulled: $SILLAR_CACHE, or the user's cache folder (XDG)."""
    configured = os.environ.get("SILLAR_CACHE")
    return Path(configured).expanduser() if configured else Path(platformdirs.user_cache_dir("sillar"))


def models_dir() -> Path:
    return cache_dir() / "models"


def scratch_dir() -> Path:
    """Where downloads in progress lie: on the same file system as the models, so that renames are atomic."""
    path = cache_dir() / "downloads"
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def lock(name: str) -> Iterator[None]:
    """Holds the lock `name` against other processes and threads; waits for it."""
    folder = cache_dir() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(name.encode()).hexdigest()[:24]
    with FileLock(str(folder / f"{digest}.lock")):
        yield


@contextmanager
def atomic_file(target: Path) -> Iterator[Path]:
    """Gives a temporary path beside `target`; on success it becomes `target`, on an error it goes away."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{uuid4().hex[:8]}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def require_disk(folder: Path, size: int | None) -> None:
    """Raises ResourceError when the file system of `folder` has not `size` bytes to spare."""
    if size is None:
        return
    free = shutil.disk_usage(folder).free
    if free < size + _DISK_RESERVE:
        raise ResourceError(
            f"Not enough disk: {size / 1e6:.0f} MB are needed in {folder} and {free / 1e6:.0f} MB are free. "
            "Free some space, or set SILLAR_CACHE to a folder elsewhere."
        )


def sha256_of(path: Path, progress: Progress = silent) -> str:
    """The file's SHA-256 in hexadecimal."""
    digest, done, total = hashlib.sha256(), 0, path.stat().st_size
    with path.open("rb") as handle:
        while chunk := handle.read(_CHUNK):
            digest.update(chunk)
            done += len(chunk)
            progress(ProgressEvent("verify", done, total))
    return digest.hexdigest()
