"""The command line itself: help, errors on one line, exit codes, clean JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sillar.cli.app import exit_code, main
from sillar.errors import (
    ConfigError,
    DocumentError,
    DownloadError,
    OverloadedError,
    ResourceError,
    SillarError,
    TemplateError,
)


def run(*arguments: str) -> int:
    """The exit code of a command line run in this process."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return int(ended.value.code or 0)


def gguf(folder: Path) -> Path:
    path = folder / "small.gguf"
    path.write_bytes(b"GGUF" + bytes(60))
    return path


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SillarError("x"), 1),
        (OverloadedError("x"), 1),
        (ConfigError("x"), 2),
        (DownloadError("x"), 3),
        (DocumentError("x"), 4),
        (ResourceError("x"), 5),
        (TemplateError("x"), 6),
    ],
)
def test_exit_codes(error: SillarError, code: int) -> None:
    assert exit_code(error) == code


def test_help_of_every_command_names_its_purpose(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    listed = capsys.readouterr().out.partition("Commands:")[2]
    commands = [line.split()[0] for line in listed.splitlines() if line.startswith("  ") and line[2] != " "]
    assert "pull" in commands
    for command in commands:
        assert run(command, "--help") == 0
        assert f"Usage: sillar {command}" in capsys.readouterr().out


def test_errors_are_one_line_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("pull", "smollm2-135m") == 3
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("sillar: There is no model 'smollm2-135m'")
    assert len(captured.err.splitlines()) == 1


def test_debug_shows_the_traceback() -> None:
    command = [sys.executable, "-c", "from sillar.cli import main; main(['--debug', 'remove', 'nothing'])"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "Traceback" in ended.stderr


def test_usage_errors_exit_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("pull") == 2
    assert run("nonsense") == 2
    assert "nonsense" in capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("version") == 0
    assert run("--version") == 0
    assert capsys.readouterr().out.split()[0] == "sillar"


def test_a_local_file_is_pulled_where_it_lies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = gguf(tmp_path)
    assert run("pull", str(path)) == 0
    assert str(path) in capsys.readouterr().err


def test_models_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("models", "--json") == 0
    models = json.loads(capsys.readouterr().out)["models"]
    chat = next(model for model in models if model["name"] == "smollm2-135m-instruct")
    assert (chat["kind"], chat["licence"], chat["path"]) == ("chat", "Apache-2.0", None)


def test_models_for_a_person(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("models") == 0
    assert "qwen2.5-coder-1.5b-instruct" in capsys.readouterr().out


def test_a_defect_is_one_line_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sillar.hub.local_models", lambda: 1 / 0)
    assert run("models") == 1
    assert capsys.readouterr().err.startswith("sillar: this is a defect: ZeroDivisionError")
    with pytest.raises(ZeroDivisionError):
        main(["--debug", "models"])
