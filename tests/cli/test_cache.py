"""sillar cache lists what is kept and clears it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sillar.engine import packed_cache
from tests.cli.test_app import run


def test_packed_weights_are_listed_and_cleared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SILLAR_CACHE", str(tmp_path))
    monkeypatch.setattr(packed_cache, "SMALLEST", 0)
    monkeypatch.setattr(packed_cache, "DISK_RESERVE", 0)
    model = tmp_path / "a.gguf"
    model.write_bytes(b"weights")
    place = packed_cache.packed_file(model, 100)
    assert place is not None
    place[0].write_bytes(bytes(5000))
    assert run("cache", "--json") == 0
    (kept,) = json.loads(capsys.readouterr().out)["packed_weights"]
    assert kept == {"model": str(model.resolve()), "path": str(place[0]), "bytes": 5000}
    assert run("cache", "--clear") == 0
    assert not place[0].exists()
    assert run("cache") == 0
    assert "No packed weights" in capsys.readouterr().err
