"""Wrong callers get a typed error, never memory that is not theirs; loads report, stop, check memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sillar.engine import native
from sillar.engine.native import NativeDecoder, NativeOptions, load_decoder
from sillar.errors import ModelFormatError, ModelUnsupportedError, RequestError, ResourceError
from tests.native.model_support import load, sequence, table
from tests.oracle.tiny import Tiny, write


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "m.gguf", Tiny(layers=1, context=64))


@pytest.fixture
def decoder(path: Path) -> NativeDecoder:
    return load(path, kv_tokens=128)


@pytest.mark.parametrize(
    "step",
    [
        sequence([]),
        sequence([320]),
        sequence([-1]),
        sequence([1], past=-1, blocks=table(16)),
        sequence([1], past=64, blocks=table(96)),
        sequence([1] * 65),
        sequence([1], past=2**62, blocks=table(16)),
        sequence([1], past=16, blocks=table(16)),
        sequence([1], blocks=np.array([8], dtype=np.int32)),
        sequence([1], blocks=np.array([-1], dtype=np.int32)),
        sequence([1], outputs=2),
        sequence([1], outputs=-1),
    ],
    ids=lambda _: "",
)
def test_steps_outside_the_model(decoder: NativeDecoder, step: object) -> None:
    with pytest.raises(RequestError):
        decoder.step([step])  # type: ignore[list-item]


def test_things_that_are_not_steps(decoder: NativeDecoder) -> None:
    with pytest.raises((AttributeError, TypeError)):
        decoder.step([object()])  # type: ignore[list-item]
    assert decoder.step([]).tokens.shape == (0,)


def test_the_same_blocks_twice_are_harmless(decoder: NativeDecoder) -> None:
    tokens = decoder.step([sequence([1, 2, 3]), sequence([4, 5])]).tokens
    assert ((tokens >= 0) & (tokens < 320)).all()


def test_blocks_to_read_and_write(decoder: NativeDecoder) -> None:
    content = decoder.read_block(0)
    for block in (-1, 8):
        with pytest.raises(RequestError):
            decoder.read_block(block)
        with pytest.raises(RequestError):
            decoder.write_block(block, content)
    with pytest.raises(RequestError, match="block_bytes"):
        decoder.write_block(0, content[:-1])


def test_sizes(path: Path, decoder: NativeDecoder) -> None:
    assert (decoder.vocab_size, decoder.context_length, decoder.kv_blocks) == (320, 64, 8)
    assert load_decoder(path).kv_blocks == 4
    assert load_decoder(path, NativeOptions(requests=8)).kv_blocks == 32
    assert load_decoder(path, NativeOptions(context=20)).context_length == 20
    with pytest.raises(RequestError, match="context"):
        load_decoder(path, NativeOptions(context=65))


def test_options_that_do_not_exist(path: Path) -> None:
    with pytest.raises(ModelUnsupportedError, match="KV cache"):
        load(path, kv_type="f64")
    with pytest.raises(ModelUnsupportedError):
        load(path, isa="sse9")
    with pytest.raises(RequestError, match="threads"):
        load(path, threads=-1)


def test_memory_is_checked_first(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ResourceError, match="smaller model or lower kv_tokens"):
        load(path, kv_tokens=1 << 40)
    monkeypatch.setattr(native, "available_memory", lambda: 1 << 20)
    with pytest.raises(ResourceError, match="GiB"):
        load_decoder(path)


def test_the_cache_is_bounded_by_free_memory(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = (256 << 20) + (8 << 20)
    monkeypatch.setattr(native, "available_memory", lambda: room)
    assert 1 <= load_decoder(path).kv_blocks <= 4


def test_a_load_reports_and_stops(path: Path) -> None:
    seen: list[tuple[int, int]] = []
    load_decoder(path, progress=lambda done, total: seen.append((done, total)))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1][0] == seen[-1][1] > 0

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load_decoder(path, progress=stop)


def test_no_file_and_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelFormatError):
        load_decoder(tmp_path / "absent.gguf")
    (tmp_path / "empty.gguf").touch()
    with pytest.raises(ModelFormatError):
        load_decoder(tmp_path / "empty.gguf")
