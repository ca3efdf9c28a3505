"""A model file's hash is computed once, and again whenever the file is another one."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from sillar.engine import content_hash as module
from sillar.engine.content_hash import content_hash, hashed_files


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SILLAR_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "model.gguf"
    path.write_bytes(b"weights")
    return path


def test_it_is_the_sha256_and_is_computed_once(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = hashlib.sha256(b"weights").hexdigest()
    assert content_hash(model) == digest
    assert [(known.path, known.sha256) for known in hashed_files()] == [(str(model.resolve()), digest)]
    monkeypatch.setattr(module, "sha256_of", lambda path: pytest.fail("hashed again"))
    assert content_hash(model) == digest
    link = model.with_name("link.gguf")
    link.symlink_to(model)
    assert content_hash(link) == digest


def test_a_changed_or_replaced_file_is_hashed_again(model: Path) -> None:
    first = content_hash(model)
    before = model.stat()
    other = model.with_name("other.gguf")
    other.write_bytes(b"WEIGHTS")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(model)  # same size, same time, another inode
    assert content_hash(model) == hashlib.sha256(b"WEIGHTS").hexdigest() != first


@pytest.mark.parametrize("memo", ["", "{", "[]", '{"path": 1}'])
def test_a_damaged_memory_is_ignored(model: Path, memo: str) -> None:
    digest = content_hash(model)
    (file,) = (model.parent / "cache" / "hashes").glob("*.json")
    file.write_text(memo)
    assert content_hash(model) == digest


def test_a_cache_that_cannot_be_written_does_no_harm(model: Path) -> None:
    (model.parent / "cache").write_text("a file where the folder should be")
    assert content_hash(model) == hashlib.sha256(b"weights").hexdigest()
