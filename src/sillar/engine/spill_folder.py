"""A bounded folder of KV blocks: one private file a block, checked when read, least recently used out first.

A file is a header (magic, key, checksum) and the content; it appears under its name only when it is whole. A
broken or foreign file reads as absent and is removed. Nothing is flushed: after a crash the checksum decides.
"""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from hashlib import blake2b
from io import FileIO
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from sillar.engine.blocks import BlockKey
from sillar.errors import ConfigError

_MAGIC = b"sillarkv1\0\0\0\0\0\0\0"
_DIGEST = 16
_SUFFIX = ".kv"


class SpillFolder:
    """Blocks by key, for one model and one kind of cache. Safe for a reader and a writer thread."""

    def __init__(self, root: Path, model: str, version: str, content_bytes: int, limit_bytes: int) -> None:
        """Opens or makes `root`/`model`-`version`; folders of the same model's other versions are removed.

        model, version: hexadecimal. content_bytes: of each block. Raises ConfigError for a limit that holds
        no block and for a folder that is another user's, that others may read, or that a process has open.
        """
        self._file_bytes = len(_MAGIC) + _DIGEST + _DIGEST + content_bytes
        self._limit = limit_bytes
        if limit_bytes < self._file_bytes:
            raise ConfigError(f"a KV spill of {limit_bytes} bytes holds no block of {self._file_bytes}")
        self._salt = blake2b(version.encode(), digest_size=_DIGEST).digest()
        self._folder = root / f"{model}-{version}"
        self._lock = threading.Lock()
        self._known: OrderedDict[BlockKey, None] = OrderedDict()  # the least recently used first
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._folder.mkdir(mode=0o700, exist_ok=True)
            _require_private(self._folder)
            self._owner = _acquire(self._folder)
            _remove_others(root, model, self._folder)
            self._scan()
        except OSError as error:
            raise ConfigError(f"{root}: the KV cache cannot spill here: {error}") from error

    def __contains__(self, key: BlockKey) -> bool:
        return key in self._known

    def __len__(self) -> int:
        return len(self._known)

    @property
    def disk_bytes(self) -> int:
        """On disk."""
        return len(self._known) * self._file_bytes

    def load(self, key: BlockKey) -> NDArray[np.uint8] | None:
        """A block's content; None where it is not there or not what it should be."""
        if key not in self._known:
            return None
        data = np.empty(self._file_bytes, np.uint8)
        try:
            with self._open(key) as file:
                whole = file.readinto(data.data) == self._file_bytes and not file.read(1)
        except OSError:
            whole = False
        head = data[: -self._content_bytes].tobytes()
        content = data[-self._content_bytes :]
        if whole and head == self._header(key, content):
            return content
        self._forget(key)
        return None

    def store(self, key: BlockKey, content: NDArray[np.uint8]) -> None:
        """Writes a block, after making room for it. OSError: the disk is full or gone."""
        if key in self._known:
            return
        self._make_room()
        path = self._path(key)
        temporary = path.with_suffix(".tmp")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        try:
            with open(os.open(temporary, flags, 0o600), "wb", buffering=0) as file:
                _write_all(file.fileno(), self._header(key, content) + content.tobytes())
            temporary.replace(path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        with self._lock:
            self._known[key] = None

    def touch(self, key: BlockKey) -> None:
        """Marks a block as used just now."""
        with self._lock:
            if key not in self._known:
                return
            self._known.move_to_end(key)
        try:
            os.utime(self._path(key), ns=(now := time.time_ns(), now))
        except OSError:
            self._forget(key)

    def close(self) -> None:
        """Lets other processes have the folder."""
        self._owner.release()

    @property
    def _content_bytes(self) -> int:
        return self._file_bytes - len(_MAGIC) - 2 * _DIGEST

    def _path(self, key: BlockKey) -> Path:
        return self._folder / (key.hex() + _SUFFIX)

    def _open(self, key: BlockKey) -> FileIO:
        return open(os.open(self._path(key), os.O_RDONLY | os.O_NOFOLLOW), "rb", buffering=0)

    def _header(self, key: BlockKey, content: NDArray[np.uint8]) -> bytes:
        digest = blake2b(content.data, digest_size=_DIGEST, key=self._salt + key)
        return _MAGIC + key + digest.digest()

    def _forget(self, key: BlockKey) -> None:
        with self._lock:
            self._known.pop(key, None)
        self._path(key).unlink(missing_ok=True)

    def _make_room(self) -> None:
        while (len(self._known) + 1) * self._file_bytes > self._limit:
            with self._lock:
                key, _ = self._known.popitem(last=False)
            self._path(key).unlink(missing_ok=True)

    def _scan(self) -> None:
        """Learns what is there, oldest first; unfinished files, files of a wrong size and the surplus go."""
        found: list[tuple[int, BlockKey]] = []
        for entry in os.scandir(self._folder):
            key = _key_of(entry.name)
            if key is not None and entry.is_file(follow_symlinks=False):
                status = entry.stat(follow_symlinks=False)
                if status.st_size == self._file_bytes:
                    found.append((status.st_mtime_ns, key))
                    continue
            if entry.name.endswith((_SUFFIX, ".tmp")):
                os.unlink(entry.path)
        self._known.update((key, None) for _, key in sorted(found))
        while len(self._known) * self._file_bytes > self._limit:
            self._forget(next(iter(self._known)))


def _key_of(name: str) -> BlockKey | None:
    try:
        return bytes.fromhex(name.removesuffix(_SUFFIX)) if len(name) == 2 * _DIGEST + len(_SUFFIX) else None
    except ValueError:
        return None


def _require_private(folder: Path) -> None:
    status = folder.lstat()
    if folder.is_symlink() or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise ConfigError(f"{folder} must be a folder of this user's own that nobody else may read")


def _acquire(folder: Path) -> FileLock:
    owner = FileLock(str(folder / ".lock"), timeout=0, mode=0o600, thread_local=False)
    try:
        owner.acquire()
    except Timeout:
        raise ConfigError(f"{folder} is in use by another process; give each server its own") from None
    return owner


def _remove_others(root: Path, model: str, keep: Path) -> None:
    """What the same model's other versions left is of no use to anyone, unless a process has it open."""
    for folder in root.glob(f"{model}-*"):
        if folder == keep or folder.is_symlink() or not folder.is_dir():
            continue
        try:
            with FileLock(str(folder / ".lock"), timeout=0, mode=0o600):
                for path in folder.iterdir():
                    if path.suffix in (_SUFFIX, ".tmp"):
                        path.unlink()
            (folder / ".lock").unlink(missing_ok=True)
            folder.rmdir()
        except (OSError, Timeout):
            continue


def _write_all(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]
