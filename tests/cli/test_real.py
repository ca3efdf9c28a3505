"""The commands on the real default models."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.test_app import run


def test_generate_is_deterministic_whatever_the_threads(
    chat_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = []
    for threads in ("1", "2"):
        arguments = [
            "generate",
            "The capital of France is",
            "-m",
            str(chat_model),
            "-n",
            "16",
            "--context",
            "256",
        ]
        assert run(*arguments, "--threads", threads, "--json") == 0
        texts.append(json.loads(capsys.readouterr().out)["text"])
    assert texts[0] == texts[1]
    assert "Paris" in texts[0]


def test_bench(chat_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        run(
            "bench",
            "-m",
            str(chat_model),
            "--tokens",
            "32",
            "--decode-tokens",
            "4",
            "--repeats",
            "1",
            "--json",
        )
        == 0
    )
    result = json.loads(capsys.readouterr().out)
    assert result["prefill"][0]["tokens_per_second"] > 0
    assert result["decode"][0]["context"] == 32


def test_a_damaged_model_is_one_line(
    chat_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = tmp_path / "damaged.gguf"
    with chat_model.open("rb") as whole:
        damaged.write_bytes(whole.read(3_000_000))
    assert run("generate", "Hello", "-m", str(damaged)) == 3
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
