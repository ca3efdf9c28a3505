"""What changed in a folder since it was indexed: size and time first, then the content's hash; moved files
recognised.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sillar.documents.ingest.detect import is_supported
from sillar.documents.store.protocol import FileFacts, FileState

_MAX_DEPTH = 64


@dataclass(slots=True)
class FolderChanges:
    """What has to be done so that the index equals the folder."""

    read: list[FileFacts] = field(default_factory=list)
    """New or changed: parse and embed."""
    touched: list[FileFacts] = field(default_factory=list)
    moved: list[tuple[int, FileFacts]] = field(default_factory=list)
    deleted: list[int] = field(default_factory=list)
    unchanged: int = 0


def scan_folder(root: Path, unreadable: list[str] | None = None) -> Iterator[tuple[str, os.stat_result]]:
    """(relative path, status) of every file that could be read, in a stable order.

    Hidden files are left out. Symbolic links to folders are not followed; links to files are, when they
    stay inside. `unreadable` takes the relative paths of folders that are there and could not be listed.
    """
    base = os.path.realpath(root)
    stack = [("", 0)]
    while stack:
        relative, depth = stack.pop()
        folders = []
        try:
            entries = _entries(os.path.join(base, relative))
        except OSError:
            if unreadable is not None:
                unreadable.append(relative)
            continue
        for entry in entries:
            path = os.path.join(relative, entry.name)
            try:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(path)
                elif is_supported(entry.name) and (not entry.is_symlink() or _inside(entry.path, base)):
                    status = entry.stat()
                    if entry.is_file():
                        yield path, status
            except OSError:
                continue
        if depth < _MAX_DEPTH:
            stack.extend((path, depth + 1) for path in reversed(folders))


def _entries(folder: str) -> list[os.DirEntry[str]]:
    """Raises OSError where a folder that is there cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            return sorted((e for e in entries if not e.name.startswith(".")), key=lambda e: e.name)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _inside(path: str, base: str) -> bool:
    return os.path.realpath(path).startswith(base + os.sep)


def compare(
    root: Path,
    known: Mapping[str, FileState],
    *,
    retry_failed: bool = False,
    unsettled: Collection[str] = (),
) -> FolderChanges:
    """Compares a folder with the store's knowledge of it; blocking, reads files whose size or time
    changed.

    Files that are `unsettled`, and those in folders that cannot be listed now, are left as they are known.
    """
    changes = FolderChanges()
    seen: set[str] = set()
    unreadable: list[str] = []
    fresh: list[FileFacts] = []
    for path, status in scan_folder(root, unreadable):
        seen.add(path)
        if path in unsettled:
            continue
        state = known.get(path)
        retry = retry_failed and state is not None and state.failed is not None
        if state and not retry and (state.size, state.mtime_ns) == (status.st_size, status.st_mtime_ns):
            changes.unchanged += 1
            continue
        facts = FileFacts(path, status.st_size, status.st_mtime_ns, file_hash(root / path))
        if state and state.hash and state.hash == facts.hash and not state.failed:
            changes.touched.append(facts)
        elif state:
            changes.read.append(facts)
        else:
            fresh.append(facts)
    away = tuple(os.path.join(folder, "") for folder in unreadable)
    gone = {
        path: state
        for path, state in known.items()
        if path not in seen and path not in unsettled and not path.startswith(away)
    }
    _match_moves(changes, fresh, gone)
    return changes


def _match_moves(changes: FolderChanges, fresh: Sequence[FileFacts], gone: Mapping[str, FileState]) -> None:
    """A new file with the content of one that is gone is the same document under a new name."""
    by_hash = {state.hash: state for state in gone.values() if state.hash and state.failed is None}
    moved = set()
    for facts in fresh:
        state = by_hash.pop(facts.hash, None) if facts.hash else None
        if state is not None:
            changes.moved.append((state.document_id, facts))
            moved.add(state.document_id)
        else:
            changes.read.append(facts)
    changes.deleted = [state.document_id for state in gone.values() if state.document_id not in moved]


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes; empty when it cannot be read (its parser will say why)."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
