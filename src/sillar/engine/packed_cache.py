"""Packed weights kept on disk: which file belongs to a model, what is kept, and how to clear it.

A packed file is named by the SHA-256 of the model's content, so a model that was moved or copied finds
it again, and a changed one never does.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from sillar.engine.content_hash import content_hash, hashed_files
from sillar.hub.cache import cache_dir

SMALLEST = 256 << 20
"""Models below this many packed bytes are packed faster than it pays to keep them."""
DISK_RESERVE = 2 << 30
"""Bytes of the disk that packed weights leave free: keeping them is a convenience, a full disk is not."""
_SUFFIX = ".packed"


@dataclass(frozen=True, slots=True)
class KeptWeights:
    """Packed weights on disk: the model that they came from last, and how large they are."""

    model: str
    path: Path
    bytes: int
    used_at: float
    """Seconds since 1970."""


def packed_dir() -> Path:
    """The folder of packed weights."""
    return cache_dir() / "packed"


def packed_file(model: Path, packed_bytes: int) -> tuple[Path, bytes] | None:
    """Where the packed weights of `model` are or will be kept, and the key that they must carry.

    None where keeping them does not pay, the disk has no room, or the folder cannot be written.
    """
    if packed_bytes < SMALLEST:
        return None
    try:
        folder = packed_dir()
        folder.mkdir(parents=True, exist_ok=True)
        digest = content_hash(model)
        path = folder / f"{digest[:32]}{_SUFFIX}"
        if path.exists():
            os.utime(path)
        elif shutil.disk_usage(folder).free < packed_bytes + DISK_RESERVE:
            return None
        return path, bytes.fromhex(digest)
    except OSError:
        return None


def kept_weights() -> list[KeptWeights]:
    """Everything kept, the most recently used first."""
    names = {hashed.sha256[:32]: hashed.path for hashed in hashed_files()}
    found = []
    for path in packed_dir().glob(f"*{_SUFFIX}"):
        status = path.stat()
        model = names.get(path.stem, "unknown")
        found.append(KeptWeights(model, path, status.st_size, status.st_mtime))
    return sorted(found, key=lambda kept: -kept.used_at)


def clear_kept_weights() -> int:
    """Removes all packed weights, unfinished ones too; returns the bytes freed. Those in use stay mapped."""
    freed = 0
    for path in filter(Path.is_file, packed_dir().glob("*")):
        freed += path.stat().st_size
        path.unlink(missing_ok=True)
    return freed
