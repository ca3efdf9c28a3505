"""Reads a GGUF file's metadata, for tests: the tokenizer's own code takes a mapping and opens no file."""

import struct
from pathlib import Path
from typing import Any

_FORMATS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9


def read_metadata(path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    magic, _, _, count = struct.unpack_from("<4sIQQ", data)
    assert magic == b"GGUF"
    at = 24
    metadata = {}
    for _ in range(count):
        key, at = _text(data, at)
        (kind,) = struct.unpack_from("<I", data, at)
        metadata[key], at = _value(data, at + 4, kind)
    return metadata


def _text(data: bytes, at: int) -> tuple[str, int]:
    (length,) = struct.unpack_from("<Q", data, at)
    return data[at + 8 : at + 8 + length].decode("utf-8", "replace"), at + 8 + length


def _value(data: bytes, at: int, kind: int) -> tuple[Any, int]:
    if kind == _STRING:
        return _text(data, at)
    if kind == _ARRAY:
        inner, count = struct.unpack_from("<IQ", data, at)
        at += 12
        if inner == _STRING:
            values = []
            for _ in range(count):
                value, at = _text(data, at)
                values.append(value)
            return values, at
        form = f"<{count}{_FORMATS[inner]}"
        return list(struct.unpack_from(form, data, at)), at + struct.calcsize(form)
    form = "<" + _FORMATS[kind]
    return struct.unpack_from(form, data, at)[0], at + struct.calcsize(form)
