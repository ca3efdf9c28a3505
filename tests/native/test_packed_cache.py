"""Packed weights on disk: found again by content, never trusted when damaged, never left half written."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sillar._native", reason="the native extension is not built")

from sillar.engine import packed_cache
from sillar.engine.native import NativeOptions, load_decoder, memory_need
from tests.native.model_support import load, logits, random_tokens, sequence
from tests.oracle import tiny

TOKENS = random_tokens(1, 20, 320)


@pytest.fixture
def model(tmp_path, monkeypatch):
    monkeypatch.setenv("SILLAR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(packed_cache, "SMALLEST", 0)
    monkeypatch.setattr(packed_cache, "DISK_RESERVE", 0)
    return tiny.write(tmp_path / "tiny.gguf", tiny.Tiny(weights="Q4_0"))


def run(path: Path, **options: object):
    return logits(load(path, **options), sequence(TOKENS))


def kept() -> Path:
    (only,) = packed_cache.kept_weights()
    return only.path


def test_the_second_load_maps_what_the_first_packed(model):
    plain = run(model, keep_packed=False)
    assert packed_cache.kept_weights() == []
    first = run(model)
    written = kept().stat()
    second = run(model)
    assert kept().stat().st_ino == written.st_ino
    assert np.array_equal(plain, first)
    assert np.array_equal(plain, second)
    assert packed_cache.kept_weights()[0].model == str(model.resolve())


def test_a_copied_model_finds_the_same_file_and_a_changed_one_does_not(model, tmp_path):
    run(model)
    written = kept().stat().st_ino
    copy = Path(shutil.copy(model, tmp_path / "copy.gguf"))
    run(copy)
    assert kept().stat().st_ino == written
    other = tiny.write(tmp_path / "tiny.gguf", tiny.Tiny(weights="Q4_0", seed=7))
    truth = run(other, keep_packed=False)
    assert np.array_equal(run(other), truth)
    assert len(packed_cache.kept_weights()) == 2


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "header", "folder"])
def test_a_damaged_file_is_packed_again(model, damage):
    truth = run(model)
    path = kept()
    data = bytearray(path.read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 1
    elif damage == "cut":
        del data[-100:]
    elif damage == "empty":
        data.clear()
    elif damage == "header":
        data[8] ^= 1
    path.unlink()
    if damage == "folder":
        path.mkdir()
    else:
        path.write_bytes(data)
    assert np.array_equal(run(model), truth)
    if damage != "folder":
        assert np.array_equal(run(model), truth)
        assert path.stat().st_size > 4096


def test_an_interrupted_load_leaves_nothing_behind(model):
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load_decoder(model, NativeOptions(kv_tokens=64), stop)
    assert [name for name in os.listdir(packed_cache.packed_dir()) if not name.endswith(".json")] == []


def test_clear_frees_what_is_listed(model):
    run(model)
    assert packed_cache.clear_kept_weights() >= 4096
    assert packed_cache.kept_weights() == []


def test_without_room_or_rights_the_model_still_loads(model, monkeypatch, tmp_path):
    truth = run(model, keep_packed=False)
    monkeypatch.setattr(packed_cache, "DISK_RESERVE", 1 << 62)
    assert np.array_equal(run(model), truth)
    assert packed_cache.kept_weights() == []
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("SILLAR_CACHE", str(blocked))
    assert np.array_equal(run(model), truth)


@pytest.mark.parametrize("roomy", [True, False])
def test_weights_in_small_pages_are_copied_where_memory_has_room_for_both(model, roomy, monkeypatch):
    truth = run(model)
    need = memory_need(model, "tiny", NativeOptions(kv_tokens=1024, kv_type="f16")).least_bytes
    monkeypatch.setattr("sillar.engine.native.available_memory", lambda: 2 * need - (not roomy))
    decoder = load(model)
    huge = "[never]" not in Path("/sys/kernel/mm/transparent_hugepage/enabled").read_text()
    mapped = str(kept()) in Path("/proc/self/maps").read_text()
    assert mapped is not (roomy and huge)  # a file of some kilobytes has no huge page
    assert np.array_equal(logits(decoder, sequence(TOKENS)), truth)
