"""What of the KV cache goes to disk and when, and how it comes back: see SpillFolder for how it lies there.

A block is written when it loses its place in memory, when the engine has nothing to do, and at the end. The
engine's thread reads and restores memory; a thread of its own writes the files.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from queue import Full, Queue
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sillar.engine.blocks import BlockKey, BlockManager
from sillar.engine.spill_folder import SpillFolder

_log = logging.getLogger(__name__)
_QUEUED_BYTES = 64 << 20
_CLOSE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class SpillOptions:
    """Where blocks of the KV cache are kept across restarts, and how many bytes of them for each model."""

    folder: Path
    bytes: int = 4 << 30


class BlockStorage(Protocol):
    """The KV cache's memory, by block."""

    @property
    def block_bytes(self) -> int:
        """Of one block, all layers."""
        ...

    def read_block(self, block: int) -> NDArray[np.uint8]: ...

    def write_block(self, block: int, content: NDArray[np.uint8]) -> None: ...


class KvSpill:
    """Every method is called by the engine's thread; close() after that has ended."""

    def __init__(self, storage: BlockStorage, folder: SpillFolder) -> None:
        self._storage = storage
        self._folder = folder
        self._unsaved: dict[BlockKey, None] = {}  # published and never written, in that order
        depth = max(4, _QUEUED_BYTES // max(1, storage.block_bytes))
        self._queue: Queue[tuple[BlockKey, NDArray[np.uint8]] | None] = Queue(depth)
        self._queued: dict[BlockKey, NDArray[np.uint8]] = {}  # what the writer has not written yet
        self._broken = False
        self._writer = threading.Thread(target=self._write, name="sillar-spill", daemon=True)
        self._writer.start()

    def __contains__(self, key: BlockKey) -> bool:
        return key in self._queued or key in self._folder

    @property
    def blocks(self) -> int:
        """On disk."""
        return len(self._folder)

    def published(self, key: BlockKey) -> None:
        """A block in memory can be found by this key."""
        if key not in self:
            self._unsaved[key] = None

    def evicted(self, block: int, key: BlockKey) -> None:
        """The block is about to lose its content."""
        self._unsaved.pop(key, None)
        if key not in self:
            self._put(key, block, wait=0)  # lost, where the disk is too slow

    def restore(self, key: BlockKey, block: int) -> bool:
        """Fills a block from disk; false: it could not be read."""
        content = self._queued.get(key)
        if content is None:
            content = self._folder.load(key)
        if content is None:
            return False
        self._storage.write_block(block, content)
        self._folder.touch(key)
        return True

    def save_one(self, cache: BlockManager) -> bool:
        """Writes one block that is not on disk yet, waiting for the writer a little; false: there is none."""
        while self._unsaved and not self._broken:
            key = next(iter(self._unsaved))
            block = cache.find(key)
            if block is not None and key not in self and not self._put(key, block, wait=0.05):
                return True
            del self._unsaved[key]
            if block is not None:
                return True
        return False

    def save_all(self, cache: BlockManager) -> None:
        """What memory holds and the disk does not, within some seconds."""
        end = time.monotonic() + _CLOSE_SECONDS
        while time.monotonic() < end and self.save_one(cache):
            pass

    def forget(self) -> None:
        """The memory's content is void."""
        self._unsaved.clear()

    def close(self) -> None:
        """After everything queued is written. Once is enough."""
        self._queue.put(None)
        self._writer.join()
        self._folder.close()

    def _put(self, key: BlockKey, block: int, wait: float) -> bool:
        if self._broken:
            return False
        content = self._queued[key] = self._storage.read_block(block)
        try:
            self._queue.put((key, content), block=wait > 0, timeout=wait)
        except Full:
            del self._queued[key]
            return False
        return True

    def _write(self) -> None:
        while (item := self._queue.get()) is not None:
            try:
                if not self._broken:
                    self._folder.store(*item)
            except OSError as error:
                self._broken = True
                _log.warning("the KV cache no longer spills to disk: %s", error)
            del self._queued[item[0]]
