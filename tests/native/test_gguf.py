"""What the GGUF reader refuses, by name: each malformed file gets a typed error that says what is wrong."""

from __future__ import annotations

import struct
from pathlib import Path

import gguf
import pytest

from sillar.engine.native import NativeOptions, load_decoder, read_metadata, read_spec
from sillar.errors import ModelFormatError, ModelUnsupportedError
from tests.oracle.tiny import Tiny, with_weights, write

U8, U32, F32, BOOL, STRING, ARRAY, U64 = 0, 4, 6, 7, 8, 9, 10
Q4_0 = 2


def string(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack("<Q", len(encoded)) + encoded


def entry(key: str, kind: int, value: bytes) -> bytes:
    return string(key) + struct.pack("<I", kind) + value


def tensor(name: str, shape: tuple[int, ...] = (32,), kind: int = 0, offset: int = 0) -> bytes:
    return string(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)


def gguf_file(
    metadata: list[bytes] | None = None,
    tensors: list[bytes] | None = None,
    *,
    version: int = 3,
    counts: tuple[int, int] | None = None,
    data: int = 4096,
) -> bytes:
    """A file of these parts, its tensor data aligned to 32 bytes and all zero."""
    metadata, tensors = metadata or [], tensors or []
    n_tensors, n_metadata = counts or (len(tensors), len(metadata))
    header = b"GGUF" + struct.pack("<IQQ", version, n_tensors, n_metadata) + b"".join(metadata + tensors)
    return header + bytes(-len(header) % 32) + bytes(data)


MALFORMED = {
    "empty": (b"", "it is empty"),
    "another format": (b"PK\x03\x04" + bytes(64), "does not start with GGUF"),
    "header cut": (b"GGUF" + struct.pack("<IQ", 3, 0), "does not start with GGUF"),
    "more metadata than bytes": (gguf_file(counts=(0, 2**63)), "more metadata than it holds"),
    "more tensors than bytes": (gguf_file(counts=(2**63, 0)), "more tensors than it holds"),
    "key longer than the file": (
        gguf_file([struct.pack("<Q", 2**63 - 1) + bytes(64)]),
        "middle of its header",
    ),
    "empty key": (gguf_file([entry("", U8, b"\1")]), "key of unreasonable length"),
    "key twice": (gguf_file([entry("a", U8, b"\1")] * 2), '"a" is there twice'),
    "unknown value type": (gguf_file([entry("a", 99, bytes(8))]), "unknown type"),
    "array of arrays": (gguf_file([entry("a", ARRAY, struct.pack("<IQ", ARRAY, 1))]), "array of arrays"),
    "array longer than the file": (
        gguf_file([entry("a", ARRAY, struct.pack("<IQ", U64, 2**61))]),
        "array is longer than the file",
    ),
    "strings longer than the file": (
        gguf_file([entry("a", ARRAY, struct.pack("<IQ", STRING, 2**61))]),
        "array is longer than the file",
    ),
    "alignment of zero": (
        gguf_file([entry("general.alignment", U32, struct.pack("<I", 0))], [tensor("t")]),
        "out of range",
    ),
    "alignment that is no power of two": (
        gguf_file([entry("general.alignment", U32, struct.pack("<I", 24))], [tensor("t")]),
        "not a power of two",
    ),
    "alignment that is no number": (
        gguf_file([entry("general.alignment", STRING, string("32"))], [tensor("t")]),
        "not an integer",
    ),
    "tensor name of nothing": (gguf_file(tensors=[tensor("")]), "name of unreasonable length"),
    "tensor name too long": (gguf_file(tensors=[tensor("x" * 256)]), "name of unreasonable length"),
    "tensor twice": (gguf_file(tensors=[tensor("t"), tensor("t", offset=128)]), '"t" is there twice'),
    "no dimension": (gguf_file(tensors=[tensor("t", ())]), "0 dimensions"),
    "five dimensions": (gguf_file(tensors=[tensor("t", (1,) * 5)]), "5 dimensions"),
    "dimension of zero": (gguf_file(tensors=[tensor("t", (32, 0))]), "impossible shape"),
    "dimension of 2^63": (gguf_file(tensors=[tensor("t", (2**63,))]), "impossible shape"),
    "product past 2^64": (gguf_file(tensors=[tensor("t", (32, 2**39, 2**39, 2**39))]), "too large"),
    "bytes past 2^64": (gguf_file(tensors=[tensor("t", (2**40, 2**31))]), "too large|past the end"),
    "rows of half blocks": (gguf_file(tensors=[tensor("t", (33,), Q4_0)]), "not whole blocks"),
    "offset not aligned": (gguf_file(tensors=[tensor("t", offset=8)]), "not aligned"),
    "overlapping tensors": (gguf_file(tensors=[tensor("a", (64,)), tensor("b", offset=32)]), "overlaps"),
    "offset near 2^64": (gguf_file(tensors=[tensor("t", offset=2**64 - 32)]), "past the end"),
    "tensor past the end": (gguf_file(tensors=[tensor("t", (4096,))], data=1024), "looks cut short"),
}
UNSUPPORTED = {
    "version 1": (gguf_file(version=1), "GGUF version 1; versions 2 and 3"),
    "version of the future": (gguf_file(version=4), "GGUF version 4"),
    "big-endian": (gguf_file(version=0x03000000), "big-endian"),
    "unknown weight type": (gguf_file(tensors=[tensor("t", kind=1000)]), "type number 1000"),
}


def refusal(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(data)
    load_decoder(path, NativeOptions())


@pytest.mark.parametrize(("data", "message"), MALFORMED.values(), ids=MALFORMED)
def test_malformed_files_are_named(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(ModelFormatError, match=message):
        refusal(tmp_path, data)


@pytest.mark.parametrize(("data", "message"), UNSUPPORTED.values(), ids=UNSUPPORTED)
def test_what_is_not_supported_says_what_is(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(ModelUnsupportedError, match=message):
        refusal(tmp_path, data)


def test_a_hostile_name_is_shown_harmless(tmp_path: Path) -> None:
    """Control characters of a file reach neither a terminal nor a log."""
    with pytest.raises(ModelFormatError, match=r'"t\?\[2J"'):
        refusal(tmp_path, gguf_file(tensors=[tensor("t\x1b[2J", (0,))]))


def test_version_two_is_read(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(gguf_file([entry("general.name", STRING, string("añejo"))], version=2))
    assert read_metadata(path)["general.name"] == "añejo"


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelFormatError, match=r"missing\.gguf"):
        read_metadata(tmp_path / "missing.gguf")


@pytest.mark.parametrize("type_name", ["Q4_1", "Q6_K", "F16"])
def test_a_files_tensors_are_counted_as_the_reader_of_the_format_counts_them(
    tmp_path: Path, type_name: str
) -> None:
    path = write(tmp_path / "m.gguf", with_weights(Tiny(), type_name))
    spec = read_spec(path, read_metadata(path))
    tensors = gguf.GGUFReader(path).tensors
    assert spec.parameters == sum(int(tensor.n_elements) for tensor in tensors)
    assert spec.file_bytes == sum(int(tensor.n_bytes) for tensor in tensors)
