"""index over a stand-in for the embedder: what was read, what was not, and only what changed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from sillar.cli import documents
from sillar.documents import Follower
from tests.cli.test_app import run


class FakeEmbedder:
    """Letters counted: texts with the same letters are alike."""

    dim = 26
    fingerprint = "letters"

    async def embed(self, texts: Sequence[str], kind: str) -> NDArray[np.float32]:
        letters = "abcdefghijklmnopqrstuvwxyz"
        rows = np.array([[text.lower().count(letter) + 1e-3 for letter in letters] for text in texts])
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    async def embed_tokens(
        self, texts: Sequence[str], kind: str
    ) -> tuple[NDArray[np.float32], list[NDArray[np.float32]]]:
        return await self.embed(texts, kind), [await self.embed(text.split(), kind) for text in texts]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    @asynccontextmanager
    async def loaded(name: str, config: object) -> AsyncIterator[FakeEmbedder]:
        yield FakeEmbedder()

    monkeypatch.setattr(documents, "embedder", loaded)
    manuals = tmp_path / "manuals"
    manuals.mkdir()
    (manuals / "pump.md").write_text("# The pump\n\nChange the filter of the pump every four weeks.\n")
    return manuals


def test_index_twice_reads_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("index", str(folder)) == 0
    assert "1 read, 0 unchanged" in capsys.readouterr().err
    assert run("index", str(folder), "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["read"], report["unchanged"]) == (0, 1)
    assert Path(report["index"]).is_file()


def test_a_file_that_cannot_be_read_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7 nothing")
    assert run("index", str(folder)) == 0
    said = capsys.readouterr().err
    assert "not read: broken.pdf" in said
    assert "1 failed" in said


def test_an_index_file_of_ones_own(folder: Path, tmp_path: Path) -> None:
    assert run("index", str(folder), "--index", str(tmp_path / "own.db")) == 0
    assert (tmp_path / "own.db").is_file()


def test_what_is_no_folder_is_an_error(folder: Path) -> None:
    assert run("index", str(folder / "pump.md")) == 4


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_watch_tells_of_changes_until_a_signal(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    class Driven(Follower):
        """Steps by hand: a file comes, a file goes, somebody presses Ctrl-C."""

        async def run(self) -> None:  # type: ignore[override]
            await self.step()
            (folder / "valve.md").write_text("# The valve\n\nIt opens at noon.\n")
            (folder / "pump.md").unlink()
            (folder / "broken.pdf").write_bytes(b"%PDF-1.7 nothing")
            await self.step()
            await self.step()
            os.kill(os.getpid(), number)
            await asyncio.Event().wait()

    monkeypatch.setattr(documents, "Follower", Driven)
    assert run("index", str(folder), "--watch", "--json") == 0
    report, *changes = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert report["read"] == 1
    assert [(c["change"], c["path"]) for c in changes] == [
        ("failed", "broken.pdf"), ("added", "valve.md"), ("deleted", "pump.md")]  # fmt: skip
    assert changes[0]["reason"]
    assert run("index", str(folder)) == 0
    assert "0 read, 2 unchanged" in capsys.readouterr().err


def test_ask_quotes_with_a_citation(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    question = "How often is the filter of the pump changed?"
    assert run("index", str(folder)) == 0
    assert run("ask", str(folder), question, "--style", "quote", "--never-abstain", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert set(answer) >= {"answer", "citations", "abstained", "timings", "tokens"}
    assert answer["timings"].keys() == {"retrieve", "ttft", "total"}
    citation = answer["citations"][0]
    assert citation["document"] == "pump.md"
    assert citation["quote"] in "Change the filter of the pump every four weeks."
    assert run("ask", str(folder), question, "--style", "quote", "--never-abstain") == 0
    captured = capsys.readouterr()
    assert "[1] pump.md, The pump" in captured.out
    assert "retrieved in" in captured.err


def test_a_refusal_names_the_nearest_passages(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("index", str(folder)) == 0
    assert run("ask", str(folder), "Who won the chess championship of 1972?", "--style", "quote") == 0
    shown = capsys.readouterr().out
    assert shown.startswith("The documents do not say.\n\nNearest; they may not answer it:\n\n[1] ")


def test_ask_before_index_says_what_to_type(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("ask", str(folder), "What?") == 4
    assert f"Type: sillar index {folder}" in capsys.readouterr().err
