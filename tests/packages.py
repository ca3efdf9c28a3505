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

from evaluations.corpora import CorpusError, fetch_package
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


@cache
def sdist_files(requirement: str, sha256: str, suffix: str) -> Path:
    """A folder with the files of a source distribution whose names end in `suffix`."""
    target = hub.cache_dir() / "tests" / f"{requirement.replace('==', '-')}-{sha256[:12]}"
    with lock(str(target)):
        if not target.is_dir():
            try:
                _fetch(target, requirement, sha256, "", suffix)
            except DownloadError as error:
                return _unreachable(error)
    return target


@cache
def debian_package(name: str) -> Path:
    """The unpacked files of a Debian package; the test is skipped where apt cannot get it."""
    try:
        return fetch_package(name)
    except CorpusError as error:
        pytest.skip(str(error))


def _fetch_models(target: Path) -> None:
    _fetch(target, _SDIST, _SHA256, _FOLDER, "")


def _fetch(target: Path, requirement: str, sha256: str, folder: str, suffix: str) -> None:
    with TemporaryDirectory(dir=scratch_dir()) as name:
        archive = fetch_sdist(requirement, sha256, Path(name))
        unpacked = Path(name) / "unpacked"
        with tarfile.open(archive) as bundle:
            for member in bundle:
                inside = PurePosixPath(*PurePosixPath(member.name).parts[1:])
                wanted = inside.is_relative_to(folder) and inside.name.endswith(suffix)
                if not member.isfile() or not wanted or ".." in inside.parts:
                    continue
                path = unpacked / inside.relative_to(folder)
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
