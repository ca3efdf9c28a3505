"""Which block of the KV cache holds what: reference counts, prefix sharing by content, LRU eviction.

Only full blocks are shared, and a shared block is never written again: a sequence recomputes at least
its last token, into a block of its own. So nothing ever needs to be copied on write.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from hashlib import blake2b
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sillar.engine.request import BLOCK_TOKENS

BlockKey = bytes
"""Content of a block and of everything before it, for one tenant: a 128-bit hash."""


def root_key(tenant: str) -> BlockKey:
    """The parent of a tenant's first blocks: tenants never see each other's cached prefixes."""
    return blake2b(tenant.encode(), digest_size=16, person=b"sillar-tenant").digest()


def child_key(parent: BlockKey, tokens: NDArray[np.int32]) -> BlockKey:
    """The key of a block with these tokens (int32 [BLOCK_TOKENS]) after `parent`."""
    return blake2b(tokens.tobytes(), digest_size=16, key=parent).digest()


def blocks_for(tokens: int) -> int:
    """Blocks that hold so many tokens."""
    return -(-tokens // BLOCK_TOKENS)


class BlockWitness(Protocol):
    """Is told what becomes of content that can be found."""

    def published(self, key: BlockKey) -> None: ...

    def evicted(self, block: int, key: BlockKey) -> None:
        """Called while the block still has its content."""
        ...


class BlockManager:
    """Hands out the blocks 0 .. count - 1.

    A block is free (content meaningless), referenced by one sequence or more, or cached: nobody
    references it, but its content is known by its key until it is evicted, least recently used first.
    """

    def __init__(self, count: int, *, sharing: bool = True, witness: BlockWitness | None = None) -> None:
        self.count = count
        self.sharing = sharing
        self._witness = witness
        self.evictions = 0
        self._references = [0] * count
        self._keys: list[BlockKey | None] = [None] * count
        self._by_key: dict[BlockKey, int] = {}
        self._free = deque(range(count))
        self._unreferenced: dict[int, None] = {}  # cached, in order of last use

    @property
    def available(self) -> int:
        """Blocks that allocate() can give out: the free and the cached."""
        return len(self._free) + len(self._unreferenced)

    @property
    def used(self) -> int:
        """Blocks that a sequence references."""
        return self.count - self.available

    @property
    def cached(self) -> int:
        """Blocks that can be found by content, referenced or not."""
        return len(self._by_key)

    def is_idle(self, block: int) -> bool:
        """Whether nobody references it: acquiring it takes one of the available."""
        return self._references[block] == 0

    def find(self, key: BlockKey) -> int | None:
        """The block with this content, without acquiring it."""
        return self._by_key.get(key)

    def acquire(self, block: int) -> None:
        """One more reference to a block that find() named."""
        if self._references[block] == 0:
            del self._unreferenced[block]
        self._references[block] += 1

    def allocate(self) -> int | None:
        """A block of one's own, evicting the least recently used cached one; None: all are referenced."""
        if self._free:
            block = self._free.popleft()
        elif self._unreferenced:
            block = next(iter(self._unreferenced))
            del self._unreferenced[block]
            key = self._keys[block]
            assert key is not None
            if self._witness is not None:
                self._witness.evicted(block, key)
            del self._by_key[key]
            self._keys[block] = None
            self.evictions += 1
        else:
            return None
        self._references[block] = 1
        return block

    def publish(self, block: int, key: BlockKey) -> int:
        """Makes a full, computed block findable. Returns the block that holds this content from now on.

        When another block already holds it, the caller's reference moves there and its own is freed.
        """
        if not self.sharing or self._keys[block] is not None:
            return block
        other = self._by_key.get(key)
        if other is not None:
            self.acquire(other)
            self.release((block,))
            return other
        self._by_key[key] = block
        self._keys[block] = key
        if self._witness is not None:
            self._witness.published(key)
        return block

    def release(self, blocks: Iterable[int]) -> None:
        """Gives references back. Name a sequence's last block first, so that prefixes outlive their tails."""
        for block in blocks:
            self._references[block] -= 1
            if self._references[block] > 0:
                continue
            assert self._references[block] == 0, f"block {block} released once too often"
            if self._keys[block] is None:
                self._free.append(block)
            else:
                self._unreferenced[block] = None

    def check(self, references: dict[int, int]) -> None:
        """Asserts every invariant, given how often each block is referenced. For tests."""
        for block in range(self.count):
            expected = references.get(block, 0)
            assert self._references[block] == expected, (block, self._references[block], expected)
            assert (block in self._unreferenced) == (expected == 0 and self._keys[block] is not None)
        assert len(set(self._free)) == len(self._free)
        assert all(self._references[block] == 0 and self._keys[block] is None for block in self._free)
        assert len(self._free) + len(self._unreferenced) + len(references) == self.count
        assert all(self._keys[block] == key for key, block in self._by_key.items())
