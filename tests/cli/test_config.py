"""Settings: defaults, file, environment, and errors that name the nearest known key."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path

import pytest

from sillar.config import Config, load_config
from sillar.errors import ConfigError


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def load(settings: Path, text: str = "", **variables: str) -> Config:
    settings.write_text(text)
    return load_config({"SILLAR_CONFIG": str(settings), **variables})


def test_defaults_without_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert load_config({}) == Config()


def test_a_named_file_has_to_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such settings file"):
        load_config({"SILLAR_CONFIG": str(tmp_path / "absent.toml")})


def test_environment_wins_over_the_file(settings: Path) -> None:
    config = load(
        settings, "[engine]\nthreads = 4\nisa = 'avx2'\n", SILLAR_THREADS="2", SILLAR_SAMPLING_TOP_P="0.9"
    )
    assert (config.engine.threads, config.engine.isa, config.sampling.top_p) == (2, "avx2", 0.9)


def test_what_the_benchmarks_are_told_does_not_stop_the_command(settings: Path) -> None:
    peers = ("LLAMA_CPP_PYTHON", "LLAMA_CPP_SERVER", "ONNXRUNTIME_PYTHON", "OPENVINO_PYTHON", "VLLM_PYTHON")
    assert load(settings, "", **{f"SILLAR_{peer}": "x" for peer in peers}).engine.threads == 0


@pytest.mark.parametrize(
    ("text", "variables", "message"),
    [
        ("[engine]\nthread = 4\n", {}, "unknown key engine.thread; did you mean threads?"),
        ("[engin]\nthreads = 4\n", {}, r"unknown table \[engin\]; did you mean engine"),
        ("engine = 4\n", {}, "unknown table"),
        ("[engine]\nthreads = 'four'\n", {}, "engine.threads: 'four' is not a number"),
        ("[engine]\nthreads = true\n", {}, "not a number"),
        ("[engine]\nthreads = -1\n", {}, "engine.threads: -1 is outside 0 to 1024"),
        ("[engine]\nisa = 'neon'\n", {}, "'neon' is not one of reference, avx2"),
        ("[sampling]\ntop_p = nan\n", {}, "nan is outside 0 to 1"),
        ("[models]\nchat = 3\n", {}, "models.chat: 3 is not text"),
        ("[engine", {}, "config.toml: "),
        ("", {"SILLAR_ENGINE_THREADZ": "1"}, "did you mean SILLAR_ENGINE_THREADS"),
        ("", {"SILLAR_THREADS": "many"}, "SILLAR_THREADS: 'many' is not a number"),
    ],
)
def test_errors_say_where_and_what(
    settings: Path, text: str, variables: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        load(settings, text, **variables)


def test_the_page_names_every_key_with_its_default() -> None:
    page = (Path(__file__).parents[2] / "docs/configuration.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+\.\w+)`[^|]*\| ([^|]+) \|", page, re.MULTILINE))
    defaults = {
        f"{table}.{key}": json.dumps(value)
        for table, values in asdict(Config()).items()
        for key, value in values.items()
    }
    assert rows == defaults
