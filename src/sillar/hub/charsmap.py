"""Builds SentencePiece's precompiled normalisation map: a double-array trie over UTF-8, then replacements.

Layout: uint32 bytes of the trie, the trie's uint32 units, the replacements as NUL-ended strings. A unit holds
a label (its byte), an offset to its children (child of byte c: position ^ offset ^ c), if a value follows.
Source of the format: darts-clone's unit layout, SentencePiece's normalizer.
"""

from __future__ import annotations

import struct
import unicodedata
from collections.abc import Mapping

_HAS_LEAF = 1 << 8
_LEAF = 1 << 31
_SEARCH = 2 * 256


def with_compositions(single: Mapping[str, str]) -> dict[str, str]:
    """Adds what a map of single characters misses of NFKC: decomposed letters ("e" + accent) are composed."""
    result = dict(single)
    for code in range(0x80, 0x30000):
        composed = chr(code)
        decomposed = unicodedata.normalize("NFD", composed)
        if len(decomposed) > 1 and unicodedata.normalize("NFC", decomposed) == composed:
            target = "".join(single.get(character, character) for character in composed)
            result.setdefault(decomposed, target)
    return result


def build_charsmap(replacements: Mapping[str, str]) -> bytes:
    """The precompiled form of `replacements` (text to text; keys not empty, no NUL anywhere)."""
    blob, positions = bytearray(), {}
    for target in sorted(set(replacements.values())):
        positions[target] = len(blob)
        blob += target.encode() + b"\0"
    root: _Node = {}
    for source, target in replacements.items():
        node = root
        for byte in source.encode():
            child = node.setdefault(byte, {})
            assert isinstance(child, dict)
            node = child
        node[_VALUE] = positions[target]
    units = _Placer().place(root)
    trie = struct.pack(f"<{len(units)}I", *units)
    return struct.pack("<I", len(trie)) + trie + bytes(blob)


_VALUE = 0
_Node = dict[int, "int | _Node"]


class _Placer:
    """Gives every trie node a place in the double array, first fit."""

    def __init__(self) -> None:
        self.units: list[int] = [0] * 256
        self.used = bytearray(256)
        self.bases: set[int] = set()
        self.first_free = 1

    def place(self, root: _Node) -> list[int]:
        self.used[0] = 1
        queue = [(0, root)]
        while queue:
            position, node = queue.pop()
            base = self._find_base(list(node))
            self.bases.add(base)
            self.units[position] |= (position ^ base) << 10
            for label, child in node.items():
                place = base ^ label
                self.used[place] = 1
                if isinstance(child, int):
                    self.units[position] |= _HAS_LEAF
                    self.units[place] = _LEAF | child
                else:
                    self.units[place] = label
                    queue.append((place, child))
        return self.units

    def _find_base(self, labels: list[int]) -> int:
        # Only the last blocks are searched: older ones are nearly full, and the search stays linear.
        self.first_free = max(self.first_free, len(self.used) - _SEARCH)
        while self.first_free < len(self.used) and self.used[self.first_free]:
            self.first_free += 1
        position = self.first_free
        while True:
            if position >= len(self.used):
                self.units += [0] * 256
                self.used += bytes(256)
            base = position ^ labels[0]
            # The bases are kept distinct: labels alone tell one node's children from another's.
            if (
                not self.used[position]
                and base not in self.bases
                and not any(self.used[base ^ x] for x in labels)
            ):
                return base
            position += 1
