"""The catalogue, paths, and what is said about names that are none."""

import subprocess
import sys
from pathlib import Path

import pytest

from sillar import hub
from sillar.errors import ConfigError, ModelFormatError, ModelNotFoundError
from sillar.hub.catalogue import parse_catalogue
from tests.hub.e5_file import write_e5


def test_the_catalogue_holds_the_defaults() -> None:
    known = hub.catalogue()
    for name in (hub.DEFAULT_CHAT_MODEL, hub.DEFAULT_EMBEDDER):
        assert known[name].verified
        assert known[name].size
    for entry in known.values():
        assert entry.licence
        assert entry.languages


ENTRY = """
[x]
description = "d"
kind = "chat"
languages = ["en"]
licence = "MIT"
context = 1
file = "m.gguf"
sources = [{ type = "hub", repo = "a/b", file = "m.gguf" }]
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"chat"', '"poem"'),
        ('"m.gguf"\nsources', '"../m.gguf"\nsources'),
        ('licence = "MIT"', ""),
        ("context = 1", "context = 1\nsha256 = 'abc'"),
        ("context = 1", "context = 1\ncolour = 'red'"),
        ('"hub"', '"ftp"'),
        ("[x]", "['../x']"),
        ("[x]", "[x"),
    ],
)
def test_a_malformed_catalogue_is_refused(old: str, new: str) -> None:
    assert parse_catalogue(ENTRY)["x"].file == "m.gguf"
    with pytest.raises(ConfigError):
        parse_catalogue(ENTRY.replace(old, new))


def test_a_gguf_is_used_where_it_lies(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(b"GGUF....")
    assert hub.pull(str(path)) == hub.resolve(str(path)) == path
    path.write_bytes(b"nothing")
    with pytest.raises(ModelFormatError):
        hub.resolve(str(path))


def test_an_e5_file_is_converted_once(tmp_path: Path) -> None:
    path = write_e5(tmp_path / "e5.bin")
    converted = hub.pull(str(path))
    assert converted.read_bytes()[:4] == b"GGUF"
    before = converted.stat().st_mtime_ns
    assert hub.pull(str(path)) == converted
    assert converted.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("smollm2-135m-instruct", "Type: sillar pull smollm2-135m-instruct"),
        ("smollm2-135m-instuct", "Did you mean smollm2-135m-instruct"),
        ("/no/such/file.gguf", "sillar models"),
        ("", "sillar models"),
    ],
)
def test_unknown_names_say_what_to_type(name: str, words: str) -> None:
    with pytest.raises(ModelNotFoundError, match=words):
        hub.resolve(name)


def test_a_damaged_record_does_not_count(cache: Path) -> None:
    for content in ("", "[]", "{}", '{"path": "/etc/passwd"}'):
        folder = cache / "models" / "x"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.json").write_text(content)
        assert hub.local_models() == []


def test_a_model_that_is_here_is_found_without_an_http_client() -> None:
    """Importing one is a tenth of a start."""
    code = "import sys, sillar.cli.load; sys.exit('httpx' in sys.modules or 'huggingface_hub' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
