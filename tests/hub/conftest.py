"""A cache folder of its own for every test, a stand-in of the hub and a package index made of files."""

import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sillar.hub import convert, model_hub
from tests.hub.stand_in import StandIn, serve


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SILLAR_CACHE", str(tmp_path / "cache"))
    for name in ("HF_HUB_OFFLINE", "SILLAR_OFFLINE", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(model_hub, "_sleep", lambda seconds: None)
    return tmp_path / "cache"


@pytest.fixture(autouse=True)
def small_charsmap(monkeypatch: pytest.MonkeyPatch) -> None:
    """The full map of compositions has 200 kB; one entry shows as much."""
    monkeypatch.setattr(convert, "with_compositions", lambda single: {**single, "n\u0303": "ñ"})


@pytest.fixture
def hub_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    with serve() as stand_in:
        monkeypatch.setenv("HF_ENDPOINT", stand_in.url)
        yield stand_in


@pytest.fixture
def add_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Puts a made-up wheel into the only package index that pip knows."""
    index = tmp_path / "index"
    index.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))

    def add(name: str, version: str, files: dict[str, bytes], tag: str = "py3-none-any") -> Path:
        path = index / f"{name}-{version}-{tag}.whl"
        info = f"{name}-{version}.dist-info"
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        wheel = f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n"
        with zipfile.ZipFile(path, "w") as bundle:
            for member, content in files.items():
                bundle.writestr(member, content)
            bundle.writestr(f"{info}/METADATA", metadata)
            bundle.writestr(f"{info}/WHEEL", wheel)
            bundle.writestr(f"{info}/RECORD", "")
        return path

    return add
