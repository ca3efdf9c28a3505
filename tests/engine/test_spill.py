"""KV blocks on disk: a restart finds its prefixes; nothing broken, foreign or another tenant's is used."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sillar.engine.blocks import root_key
from sillar.engine.engine import Engine, EngineOptions
from sillar.engine.request import GenerationParams, SamplingParams
from sillar.engine.spill import KvSpill
from sillar.engine.spill_folder import SpillFolder
from sillar.errors import ConfigError
from tests.engine.fake import FakeStepper, oracle

PROMPT = [5, 6, 7, 8] * 20  # five blocks, of which four are shared: the last token's row must be computed
PARAMS = GenerationParams(max_tokens=6, ignore_eos=True, lookup=False)
CONTENT = FakeStepper().block_bytes
FILE = CONTENT + 48


def folder(path: Path, *, model: str = "ab", version: str = "01", limit: int = 1 << 20) -> SpillFolder:
    return SpillFolder(path, model, version, CONTENT, limit)


async def run(
    path: Path,
    *requests: GenerationParams,
    prompt: list[int] = PROMPT,
    kv_blocks: int = 64,
    **options: object,
) -> tuple[list[list[int]], int, FakeStepper]:
    """A fresh engine that spills to `path`: its answers, restored tokens, and its stepper."""
    stepper = FakeStepper(kv_blocks)
    spill = KvSpill(stepper, folder(path, **options))  # type: ignore[arg-type]
    answers = []
    async with Engine(stepper, EngineOptions(), spill=spill) as engine:
        for params in requests:
            answers.append([e.token async for e in engine.generate(prompt, params) if e.token is not None])
    assert engine.stats.restored_tokens <= engine.stats.cached_tokens
    return answers, engine.stats.restored_tokens, stepper


def files(path: Path) -> list[Path]:
    return sorted(path.glob("*/*.kv"))


async def test_a_restart_finds_the_prefix_and_answers_the_same(tmp_path: Path) -> None:
    first, restored, _ = await run(tmp_path, PARAMS)
    assert restored == 0
    assert len(files(tmp_path)) == 5
    again, restored, stepper = await run(tmp_path, PARAMS)
    assert again == first == [oracle(PROMPT, PARAMS)]
    assert restored == 64
    assert stepper.fed == 16 + 5  # the prompt's last block, and the answer's tokens


async def test_blocks_that_lose_their_place_in_memory_come_back_from_disk(tmp_path: Path) -> None:
    stepper = FakeStepper(kv_blocks=8)
    spill = KvSpill(stepper, folder(tmp_path))
    async with Engine(stepper, EngineOptions(), spill=spill) as engine:
        for first in (5, 20, 40, 60, 5):
            prompt = [first + i % 4 for i in range(80)]
            got = [e.token async for e in engine.generate(prompt, PARAMS)]
            assert got == oracle(prompt, PARAMS)
    assert engine.gauges()["evictions"] > 0
    assert engine.stats.restored_tokens == 64


async def test_tenants_do_not_find_each_others_blocks(tmp_path: Path) -> None:
    await run(tmp_path, replace(PARAMS, tenant="a"))
    _, restored, _ = await run(tmp_path, replace(PARAMS, tenant="b"))
    assert restored == 0
    _, restored, _ = await run(tmp_path, replace(PARAMS, tenant="a"))
    assert restored == 64


async def test_streams_go_on_while_a_long_prefix_comes_from_disk(tmp_path: Path) -> None:
    prompt = [4 + i % 90 for i in range(16 * 60)]
    await run(tmp_path, PARAMS, prompt=prompt, kv_blocks=128)
    stepper = FakeStepper(128)
    spill = KvSpill(stepper, folder(tmp_path))
    async with Engine(stepper, EngineOptions(), spill=spill) as engine:
        stream = engine.submit([9, 9, 9], replace(PARAMS, max_tokens=200))
        await anext(stream)
        got = [e.token async for e in engine.generate(prompt, PARAMS)]
        rest = [e.token async for e in stream]
    assert got == oracle(prompt, PARAMS)
    assert len(rest) == 199
    assert engine.stats.restored_tokens == 16 * 59


def corrupt(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def swap(path: Path) -> None:
    other = next(p for p in path.parent.glob("*.kv") if p != path)
    path.write_bytes(other.read_bytes())


def link(path: Path) -> None:
    target = path.with_name("elsewhere")
    path.rename(target)
    path.symlink_to(target)


@pytest.mark.parametrize("damage", [corrupt, shorten, empty, swap, link])
async def test_damaged_blocks_are_computed_again(tmp_path: Path, damage: object) -> None:
    await run(tmp_path, PARAMS)
    for path in files(tmp_path)[:3]:
        damage(path)  # type: ignore[operator]
    counts = []
    for _ in range(4):  # each start finds at least one broken block and writes it again
        answers, restored, _ = await run(tmp_path, PARAMS)
        assert answers == [oracle(PROMPT, PARAMS)]
        counts.append(restored)
    assert counts[0] < 64
    assert counts[-1] == 64


async def test_another_model_or_version_reads_nothing_and_old_versions_go(tmp_path: Path) -> None:
    await run(tmp_path, PARAMS)
    _, restored, _ = await run(tmp_path, PARAMS, model="cd")
    assert restored == 0
    assert len(files(tmp_path)) == 10  # another model's stay
    _, restored, _ = await run(tmp_path, PARAMS, version="02")
    assert restored == 0
    assert {path.parent.name for path in files(tmp_path)} == {"ab-02", "cd-01"}


async def test_a_file_of_another_version_under_our_name_is_not_used(tmp_path: Path) -> None:
    await run(tmp_path / "old", PARAMS)
    (tmp_path / "new").mkdir()
    (tmp_path / "old" / "ab-01").rename(tmp_path / "new" / "ab-02")
    answers, restored, _ = await run(tmp_path / "new", PARAMS, version="02")
    assert answers == [oracle(PROMPT, PARAMS)]
    assert restored == 0


async def test_the_bound_holds_and_what_was_used_last_stays(tmp_path: Path) -> None:
    limit = 6 * FILE + 10
    requests = [replace(PARAMS, tenant=tenant) for tenant in "abc"]
    await run(tmp_path, *requests, limit=limit)
    assert len(files(tmp_path)) == 6
    _, restored, _ = await run(tmp_path, requests[2], limit=limit)
    assert restored == 64
    _, restored, _ = await run(tmp_path, requests[0], limit=limit)
    assert restored == 0
    with folder_of(tmp_path, 2 * FILE) as smaller:
        assert smaller.disk_bytes <= 2 * FILE
    assert len(files(tmp_path)) == 2


@contextmanager
def folder_of(path: Path, limit: int) -> Iterator[SpillFolder]:
    opened = folder(path, limit=limit)
    yield opened
    opened.close()


def test_nobody_else_may_read_and_one_process_at_a_time(tmp_path: Path) -> None:
    with folder_of(tmp_path / "spill", 1 << 20) as opened:
        opened.store(root_key("a"), np.zeros(CONTENT, np.uint8))
        (path,) = files(tmp_path / "spill")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        with pytest.raises(ConfigError, match="in use by another"):
            folder(tmp_path / "spill")
    os.chmod(path.parent, 0o755)
    with pytest.raises(ConfigError, match="nobody else may read"):
        folder(tmp_path / "spill")


def test_unfinished_files_go_and_a_bound_below_one_block_is_refused(tmp_path: Path) -> None:
    with folder_of(tmp_path, 1 << 20):
        left = tmp_path / "ab-01" / (root_key("a").hex() + ".tmp")
        left.write_bytes(b"half")
    with folder_of(tmp_path, 1 << 20) as opened:
        assert len(opened) == 0
        assert not left.exists()
    with pytest.raises(ConfigError, match="holds no block"):
        folder(tmp_path, limit=FILE - 1)


async def test_a_full_disk_costs_the_spill_and_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(SpillFolder, "store", full)
    answers, _, _ = await run(tmp_path, PARAMS, replace(PARAMS, sampling=SamplingParams(seed=2)))
    assert answers[0] == oracle(PROMPT, PARAMS)
    assert files(tmp_path) == []
