"""Reads the weights of an ONNX file: initializers by name, and which matrix each product takes.

Only that: no graph is run and nothing is resolved outside of the file. Hostile input: all is checked.
Encoding: protobuf.dev/programming-guides/encoding; field numbers: onnx.proto of ONNX 1.16.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sillar.errors import ModelFormatError

_MAX_FIELDS = 1_000_000
_MAX_DIMENSIONS = 4
_MAX_NAME = 1000
_TYPES: dict[int, Any] = {1: np.float32, 2: np.uint8, 3: np.int8}
# Field numbers.
_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_INITIALIZER = 1, 5
_NODE_INPUT, _NODE_NAME, _NODE_TYPE = 1, 3, 4
_DIMS, _TYPE, _FLOATS, _INTS, _NAME, _RAW, _LOCATION = 1, 2, 4, 5, 8, 9, 14
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class OnnxFile:
    """An ONNX file in memory; tensors are decoded when they are asked for."""

    def __init__(self, path: Path) -> None:
        """Raises ModelFormatError."""
        graphs = [_bytes(value) for number, value in _fields(path.read_bytes()) if number == _MODEL_GRAPH]
        if len(graphs) != 1:
            raise ModelFormatError(f"{path.name} is not an ONNX file with one graph.")
        self._tensors: dict[str, memoryview] = {}
        self.products: dict[str, str] = {}
        """Name of a MatMulInteger node -> the initializer that it multiplies by."""
        for number, value in _fields(graphs[0]):
            if number == _GRAPH_INITIALIZER:
                self._add_tensor(_bytes(value))
            elif number == _GRAPH_NODE:
                self._add_node(_bytes(value))

    def __contains__(self, name: str) -> bool:
        return name in self._tensors

    def tensor(self, name: str) -> NDArray[Any]:
        """An initializer of float32, uint8 or int8 in its own shape. Raises ModelFormatError."""
        if name not in self._tensors:
            raise ModelFormatError(f"The ONNX file lacks the tensor {name!r}.")
        return _tensor(name, self._tensors[name])

    def _add_tensor(self, message: memoryview) -> None:
        names = [_text(value) for number, value in _fields(message) if number == _NAME]
        if len(names) != 1 or names[0] in self._tensors:
            raise ModelFormatError("The ONNX file holds a tensor without a name, or a name twice.")
        self._tensors[names[0]] = message

    def _add_node(self, message: memoryview) -> None:
        inputs, name, kind = [], "", ""
        for number, value in _fields(message):
            if number == _NODE_INPUT:
                inputs.append(_text(value))
            elif number == _NODE_NAME:
                name = _text(value)
            elif number == _NODE_TYPE:
                kind = _text(value)
        if kind == "MatMulInteger" and len(inputs) > 1:
            if name in self.products:
                raise ModelFormatError(f"The ONNX file holds two nodes {name!r}.")
            self.products[name] = inputs[1]


def _tensor(name: str, message: memoryview) -> NDArray[Any]:
    dims: list[int] = []
    kind = 0
    raw: memoryview | None = None
    floats, integers = b"", b""
    for number, value in _fields(message):
        if number == _DIMS:
            dims += _varints(value)
        elif number == _TYPE:
            kind = _integer(value)
        elif number == _RAW:
            raw = _bytes(value)
        elif number == _FLOATS:
            floats += bytes(_bytes(value))
        elif number == _INTS:
            integers += np.array(_varints(value), np.uint64).astype(np.uint8).tobytes()
        elif number == _LOCATION and value != 0:
            raise ModelFormatError(f"The ONNX file keeps {name!r} in another file.")
    if kind not in _TYPES or len(dims) > _MAX_DIMENSIONS:
        raise ModelFormatError(
            f"The ONNX file's tensor {name!r} is of a type or shape that is not read here."
        )
    data = raw if raw is not None else (floats if kind == 1 else integers)
    size = np.dtype(_TYPES[kind]).itemsize
    for length in dims:
        size *= length
    if size != len(data):
        raise ModelFormatError(f"The ONNX file's tensor {name!r} holds {len(data)} bytes, not {size}.")
    return np.frombuffer(data, np.dtype(_TYPES[kind]).newbyteorder("<")).reshape(dims)


def _fields(data: bytes | memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """(field number, integer or bytes) of one message, in order."""
    view = memoryview(data)
    at = count = 0
    while at < len(view):
        count += 1
        key, at = _varint(view, at)
        value: int | memoryview
        if key & 7 == _VARINT:
            value, at = _varint(view, at)
        else:
            if key & 7 == _BYTES:
                length, at = _varint(view, at)
            else:
                length = {_FIXED64: 8, _FIXED32: 4}.get(key & 7, -1)
            if not 0 <= length <= len(view) - at or count > _MAX_FIELDS:
                raise ModelFormatError("The ONNX file is cut short or damaged.")
            value = view[at : at + length]
            at += length
        yield key >> 3, value


def _varint(view: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 64, 7):
        if at >= len(view):
            break
        byte = view[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at
    raise ModelFormatError("The ONNX file is cut short or damaged.")


def _varints(value: int | memoryview) -> list[int]:
    """One integer, or several packed into bytes."""
    if isinstance(value, int):
        return [value]
    found: list[int] = []
    at = 0
    while at < len(value) and len(found) <= _MAX_FIELDS:
        number, at = _varint(value, at)
        found.append(number)
    return found


def _integer(value: int | memoryview) -> int:
    if not isinstance(value, int):
        raise ModelFormatError("The ONNX file is damaged: bytes where a number should be.")
    return value


def _bytes(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise ModelFormatError("The ONNX file is damaged: a number where bytes should be.")
    return value


def _text(value: int | memoryview) -> str:
    raw = _bytes(value)
    if len(raw) > _MAX_NAME:
        raise ModelFormatError("The ONNX file holds a name of more than 1,000 bytes.")
    return str(raw, "utf-8", "replace")
