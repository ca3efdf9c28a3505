"""The SHA-256 of a model file, computed once: remembered by the file's path, size, time and inode."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from sillar.hub.cache import atomic_file, cache_dir, sha256_of


@dataclass(frozen=True, slots=True)
class HashedFile:
    """A file as it was when its content was hashed."""

    path: str
    size: int
    mtime_ns: int
    inode: int
    sha256: str


def content_hash(path: Path) -> str:
    """SHA-256 in hexadecimal. OSError: the file cannot be read."""
    path = path.resolve()
    status = path.stat()
    memo = _folder() / f"{hashlib.sha256(str(path).encode('utf-8', 'surrogateescape')).hexdigest()[:16]}.json"
    now = (str(path), status.st_size, status.st_mtime_ns, status.st_ino)
    known = _read(memo)
    if known is not None and (known.path, known.size, known.mtime_ns, known.inode) == now:
        return known.sha256
    hashed = HashedFile(*now, sha256=sha256_of(path))
    try:
        with atomic_file(memo) as temporary:
            temporary.write_text(json.dumps(asdict(hashed)), encoding="utf-8")
    except OSError:
        pass  # A cache that cannot be written costs time, no more.
    return hashed.sha256


def hashed_files() -> list[HashedFile]:
    """Everything that is remembered."""
    read = (_read(path) for path in _folder().glob("*.json"))
    return [known for known in read if known is not None]


def _folder() -> Path:
    return cache_dir() / "hashes"


def _read(memo: Path) -> HashedFile | None:
    try:
        return HashedFile(**json.loads(memo.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
