"""doctor and bench on this machine; bench on a stand-in for a model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sillar.cli import machine
from tests.cli.fakes import FakeStepper
from tests.cli.test_app import gguf, run


def test_doctor(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("doctor", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["threads"]["count"] >= 1
    assert found["kernels"]["chosen"].keys() == {"matmul", "attention", "vector"}
    assert run("doctor", "--isa", "reference") == 0
    assert "matmul reference" in capsys.readouterr().out


def test_bench_ends_in_one_json_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stepper = FakeStepper()
    monkeypatch.setattr(machine.native, "load_decoder", lambda path, options: stepper)
    path = str(gguf(tmp_path))
    assert (
        run("bench", "-m", path, "--tokens", "32,16", "--decode-tokens", "2", "--repeats", "2", "--json") == 0
    )
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["model"] == path
    assert [row["tokens"] for row in result["prefill"]] == [16, 32]
    assert {"threads", "isa", "load_s", "decode"} <= result.keys()
    assert run("bench", "-m", path, "--tokens", "16", "--decode-tokens", "1", "--repeats", "1") == 0
    assert "prefill" in capsys.readouterr().out


@pytest.mark.parametrize("sizes", ["", "0", "x", "1,,2"])
def test_bench_refuses_nonsense_sizes(sizes: str) -> None:
    assert run("bench", "--tokens", sizes) == 2
