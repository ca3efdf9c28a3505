"""Reads "E5S1" files: multilingual-e5 with 4-bit matrices. Hostile input: all is checked."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sillar.errors import ModelFormatError

_MAGIC = b"E5S1\x01\x00\x00\x00"
Q4_0_BLOCK, Q4_0_BYTES = 32, 18
_KIND_F32, _KIND_Q4_0 = 0, 1
_BOUNDS = {
    "hidden": 1 << 14,
    "layers": 256,
    "heads": 1 << 8,
    "ffn": 1 << 16,
    "vocab": 1 << 21,
    "positions": 1 << 16,
    "types": 64,
}


@dataclass(frozen=True, slots=True)
class E5Model:
    """An E5S1 file's content. Tensors are views of the mapped file.

    Float tensors are float32 [n] or [rows, columns]; Q4_0 matrices are bytes uint8 [rows, columns / 32 * 18].
    """

    hidden: int
    layers: int
    heads: int
    ffn: int
    vocab: int
    positions: int
    types: int
    eps: float
    bos: int
    eos: int
    pad: int
    unk: int
    pieces: Sequence[str]
    scores: NDArray[np.float32]
    normalisation: dict[str, str]
    """Single characters and what they are replaced with."""
    tensors: dict[str, NDArray[Any]]


class _Entry(NamedTuple):
    kind: int
    elements: int
    offset: int
    size: int


class _Reader:
    """A cursor over the file's bytes that refuses to run past the end."""

    def __init__(self, data: NDArray[np.uint8]) -> None:
        self.data, self.at = data, 0

    def take(self, size: int) -> NDArray[np.uint8]:
        if size < 0 or size > len(self.data) - self.at:
            raise ModelFormatError(f"The E5S1 file ends early: {size} bytes are missing at offset {self.at}.")
        self.at += size
        return self.data[self.at - size : self.at]

    def unpack(self, form: str) -> tuple[Any, ...]:
        return struct.unpack("<" + form, self.take(struct.calcsize("<" + form)).tobytes())


def read_e5s1(path: Path) -> E5Model:
    """Maps and checks an E5S1 file. Raises ModelFormatError."""
    if path.stat().st_size < len(_MAGIC):
        raise ModelFormatError(f"{path.name} is too short to be an E5S1 file.")
    reader = _Reader(np.memmap(path, dtype=np.uint8, mode="r"))
    if reader.take(len(_MAGIC)).tobytes() != _MAGIC:
        raise ModelFormatError(f"{path.name} is not an E5S1 file of version 1.")
    shape = dict(zip(_BOUNDS, reader.unpack("7i"), strict=True))
    eps, block = reader.unpack("fi")
    count, bos, eos, pad, unk = reader.unpack("5i")
    _check_shape(shape, eps, block)
    if not 0 < count <= shape["vocab"] or not all(0 <= token < count for token in (bos, eos, pad, unk)):
        raise ModelFormatError("The E5S1 file's vocabulary or special tokens are out of range.")
    pieces, scores = _read_pieces(reader, count)
    normalisation = _read_normalisation(reader)
    tensors = _read_tensors(reader, expected_shapes(**shape))
    return E5Model(
        **shape, eps=eps, bos=bos, eos=eos, pad=pad, unk=unk,
        pieces=pieces, scores=scores, normalisation=normalisation, tensors=tensors,
    )  # fmt: skip


def _check_shape(shape: dict[str, int], eps: float, block: int) -> None:
    for name, bound in _BOUNDS.items():
        if not 0 < shape[name] <= bound:
            raise ModelFormatError(f"The E5S1 file says {name} = {shape[name]}; 1 to {bound} is possible.")
    if shape["hidden"] % shape["heads"] or shape["hidden"] % Q4_0_BLOCK or shape["ffn"] % Q4_0_BLOCK:
        raise ModelFormatError("The E5S1 file's sizes do not fit its heads or blocks of 32.")
    if block != Q4_0_BLOCK or not 0 < eps < 1:
        raise ModelFormatError(f"The E5S1 file says blocks of {block} and epsilon {eps}.")


def _read_pieces(reader: _Reader, count: int) -> tuple[list[str], NDArray[np.float32]]:
    (length,) = reader.unpack("Q")
    offsets = reader.take(4 * (count + 1)).view("<u4").astype(np.int64)
    scores = np.array(reader.take(4 * count).view("<f4"), dtype=np.float32)
    blob = reader.take(length).tobytes()
    if offsets[0] != 0 or offsets[-1] != length or np.any(np.diff(offsets) < 0):
        raise ModelFormatError("The E5S1 file's vocabulary offsets are not in order.")
    if not np.all(np.isfinite(scores)):
        raise ModelFormatError("The E5S1 file's scores are not finite.")
    try:
        return [blob[a:b].decode() for a, b in pairwise(offsets)], scores
    except UnicodeDecodeError as error:
        raise ModelFormatError("The E5S1 file's vocabulary is not UTF-8.") from error


def _read_normalisation(reader: _Reader) -> dict[str, str]:
    """Entries of a code point, a count and that many code points."""
    count, length = reader.unpack("iI")
    inner = _Reader(reader.take(length))
    result = {}
    try:
        for _ in range(count):
            source, outputs = inner.unpack("IB")
            result[chr(source)] = "".join(map(chr, inner.unpack(f"{outputs}I")))
        "".join([*result, *result.values()]).encode()
    except (ValueError, OverflowError) as error:
        raise ModelFormatError("The E5S1 file's normalisation map holds no characters.") from error
    if inner.at != length:
        raise ModelFormatError("The E5S1 file's normalisation map is longer than its entries.")
    return result


def expected_shapes(
    *, hidden: int, layers: int, heads: int, ffn: int, vocab: int, positions: int, types: int
) -> dict[str, tuple[int, ...]]:
    """Every tensor that an E5S1 file must hold, with its shape [rows, columns] or [n]."""
    del heads
    shapes: dict[str, tuple[int, ...]] = {
        "emb.word": (vocab, hidden),
        "emb.pos": (positions, hidden),
        "emb.type": (types, hidden),
        "emb.ln.w": (hidden,),
        "emb.ln.b": (hidden,),
    }
    for layer in range(layers):
        for name, rows, columns in (
            *((name, hidden, hidden) for name in ("q", "k", "v", "ao")),
            ("fi", ffn, hidden),
            ("fo", hidden, ffn),
        ):
            shapes[f"l{layer}.{name}.w"] = (rows, columns)
            shapes[f"l{layer}.{name}.b"] = (rows,)
        for name in ("aln", "oln"):
            shapes[f"l{layer}.{name}.w"] = (hidden,)
            shapes[f"l{layer}.{name}.b"] = (hidden,)
    return shapes


def _read_tensors(reader: _Reader, shapes: dict[str, tuple[int, ...]]) -> dict[str, NDArray[Any]]:
    (count,) = reader.unpack("i")
    if count != len(shapes):
        raise ModelFormatError(f"The E5S1 file holds {count} tensors; its sizes ask for {len(shapes)}.")
    tensors: dict[str, NDArray[Any]] = {}
    for _ in range(count):
        (length,) = reader.unpack("H")
        name = reader.take(length).tobytes().decode("ascii", "replace")
        entry = _Entry(*reader.unpack("BIQQ"))
        if name not in shapes or name in tensors:
            raise ModelFormatError(f"The E5S1 file holds an unknown or doubled tensor {name!r}.")
        tensors[name] = _tensor(reader.data, name, shapes[name], entry)
    return tensors


def _tensor(data: NDArray[np.uint8], name: str, shape: tuple[int, ...], entry: _Entry) -> NDArray[Any]:
    quantised = len(shape) == 2 and name not in ("emb.pos", "emb.type")
    elements = int(np.prod(shape, dtype=np.int64))
    if entry.kind != (_KIND_Q4_0 if quantised else _KIND_F32) or entry.elements != elements:
        raise ModelFormatError(f"The E5S1 file's tensor {name!r} has another type or size than it should.")
    size = elements // Q4_0_BLOCK * Q4_0_BYTES if quantised else elements * 4
    if entry.size != size or entry.offset > len(data) or size > len(data) - entry.offset:
        raise ModelFormatError(f"The E5S1 file's tensor {name!r} lies outside of the file.")
    raw = data[entry.offset : entry.offset + size]
    return raw.reshape(shape[0], -1) if quantised else raw.view("<f4").reshape(shape)
