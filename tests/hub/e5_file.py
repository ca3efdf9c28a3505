"""Writes small, sound E5S1 files, and lets a test damage them."""

import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from sillar.hub.e5s1 import expected_shapes

SHAPE = {"hidden": 64, "layers": 1, "heads": 2, "ffn": 96, "vocab": 14, "positions": 8, "types": 2}
PIECES = ["<s>", "<pad>", "</s>", "<unk>", "▁", "▁ho", "la", "a", "b", "c", "ñ", "<mask>"]
NORMALISATION = {"\t": " ", "½": "1/2"}


def write_e5(
    path: Path, shape: Mapping[str, int] | None = None, pieces: list[str] | None = None, seed: int = 0
) -> Path:
    shape = {**SHAPE, **(shape or {})}
    pieces = PIECES if pieces is None else pieces
    blob = [piece.encode() for piece in pieces]
    offsets = np.cumsum([0, *map(len, blob)], dtype=np.uint32)
    entries = b"".join(
        struct.pack(f"<IB{len(target)}I", ord(source), len(target), *map(ord, target))
        for source, target in NORMALISATION.items()
    )
    header = b"E5S1\x01\0\0\0" + struct.pack("<7i", *shape.values()) + struct.pack("<fi", 1e-12, 32)
    header += struct.pack("<5i", len(pieces), 0, 2, 1, 3) + struct.pack("<Q", sum(map(len, blob)))
    header += offsets.tobytes() + np.linspace(0, -5, len(pieces), dtype=np.float32).tobytes() + b"".join(blob)
    header += struct.pack("<iI", len(NORMALISATION), len(entries)) + entries
    path.write_bytes(header + tensors(shape, len(header), np.random.default_rng(seed)))
    return path


def tensors(shape: Mapping[str, int], before: int, random: np.random.Generator) -> bytes:
    """The table of tensors and their bytes, 64-byte aligned; `before`: where the table begins in the file."""
    shapes = expected_shapes(**shape)
    at = before + 4 + sum(2 + len(name) + 21 for name in shapes)
    table, data = [struct.pack("<i", len(shapes))], []
    for name, dimensions in shapes.items():
        elements = int(np.prod(dimensions))
        quantised = len(dimensions) == 2 and name not in ("emb.pos", "emb.type")
        raw = (
            random.bytes(elements // 32 * 18) if quantised else random.random(elements, np.float32).tobytes()
        )
        padding = -at % 64
        data.append(bytes(padding) + raw)
        at += padding
        table.append(
            struct.pack(f"<H{len(name)}sBIQQ", len(name), name.encode(), quantised, elements, at, len(raw))
        )
        at += len(raw)
    return b"".join(table + data)
