"""Memory is shared out before anything is loaded, and refused with words that help."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("sillar._native")

from sillar.engine.memory_plan import MemoryNeed, plan_memory
from sillar.engine.native import NativeOptions, memory_need
from sillar.errors import ResourceError
from sillar.server import run
from sillar.server.options import ServerOptions

GIB = 1 << 30
EMBEDDER = MemoryNeed("e5", GIB // 4)


def chat(name: str, blocks: int, *, exact: bool = False) -> MemoryNeed:
    return MemoryNeed(name, GIB, 1 << 20, blocks, exact)


def test_caches_get_what_they_want_where_there_is_room() -> None:
    assert plan_memory([chat("a", 512), EMBEDDER], 16 * GIB) == [512, 0]


def test_caches_shrink_alike_and_leave_half_of_what_is_left() -> None:
    needs = [chat("a", 4096), chat("b", 2048), EMBEDDER]
    blocks = plan_memory(needs, 4 * GIB)
    left = 4 * GIB - sum(need.fixed_bytes for need in needs)
    assert sum(blocks) * (1 << 20) <= left // 2
    assert blocks[0] == pytest.approx(2 * blocks[1], abs=1)


def test_what_was_asked_for_is_given_or_refused() -> None:
    assert plan_memory([chat("a", 2048, exact=True), EMBEDDER], 4 * GIB) == [2048, 0]
    with pytest.raises(ResourceError, match=r"a 3\.00 GiB, e5 0\.25 GiB.* lower kv_tokens"):
        plan_memory([chat("a", 2048, exact=True), EMBEDDER], 3 * GIB)


def test_models_that_fit_alone_but_not_together_are_refused() -> None:
    for need in (chat("a", 64), chat("b", 64)):
        plan_memory([need], 2 * GIB)
    with pytest.raises(ResourceError, match="leave a model out"):
        plan_memory([chat("a", 64), chat("b", 64)], 2 * GIB)


def test_the_needs_of_real_models(chat_model: Path, embedding_model: Path) -> None:
    options = NativeOptions(kv_type="f16", kv_tokens=1024)
    need = memory_need(chat_model, "chat", options)
    # SmolLM2: 30 layers, 3 heads of 64 values for keys and as many for values, two bytes each.
    assert need.block_bytes == 16 * 30 * 3 * 64 * 2 * 2
    assert (need.blocks, need.exact) == (64, True)
    assert need.fixed_bytes > chat_model.stat().st_size // 2
    assert memory_need(embedding_model, "e5").blocks == 0


def test_a_server_refuses_before_it_loads_anything(
    chat_model: Path, embedding_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ServerOptions(chat_models=(str(chat_model),), embedders=(str(embedding_model),))
    said: list[str] = []
    monkeypatch.setattr(run, "available_memory", lambda: 600 << 20)
    with pytest.raises(ResourceError, match="leave a model out"):
        run.run(options, said.append)
    assert said == []


def test_the_documents_vectors_are_planned_for(
    chat_model: Path, embedding_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ServerOptions(
        chat_models=(str(chat_model),), embedders=(str(embedding_model),), documents=tmp_path
    )
    monkeypatch.setattr(run, "available_memory", lambda: 8 * GIB)
    monkeypatch.setattr(run, "matrix_bytes", lambda _: 9 * GIB)
    with pytest.raises(ResourceError, match=r"the documents' vectors 9\.00 GiB"):
        run.run(options, lambda _: None)
