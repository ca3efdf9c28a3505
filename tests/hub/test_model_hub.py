"""Pulling from the model hub: resumes, verifies, and says what went wrong."""

import hashlib
from pathlib import Path

import pytest

from sillar import hub
from sillar.errors import DownloadError, ModelError, ModelFormatError, ModelNotFoundError, ResourceError
from sillar.hub import HubSource, ModelEntry, ProgressEvent
from tests.hub.stand_in import StandIn

CONTENT = b"GGUF" + bytes(range(256)) * 5000
NAME = "hf:owner/repo/sub/model.gguf"
FILE = "owner/repo/sub/model.gguf"


def entry(sha256: str | None) -> dict[str, ModelEntry]:
    return {
        "tiny": ModelEntry(
            name="tiny",
            description="",
            kind="chat",
            languages=("en",),
            licence="MIT",
            context=8,
            file="model.gguf",
            sources=(HubSource("owner/repo", "sub/model.gguf"),),
            sha256=sha256,
        )
    }


def test_pulls_once_and_resolves(hub_server: StandIn, cache: Path) -> None:
    hub_server.files[FILE] = CONTENT
    events: list[ProgressEvent] = []
    with pytest.raises(ModelNotFoundError, match=f"sillar pull {NAME}"):
        hub.resolve(NAME)
    path = hub.pull(NAME, events.append)
    assert path.read_bytes() == CONTENT
    assert path.name == "model.gguf"
    assert path.is_relative_to(cache)
    assert hub.resolve(NAME) == hub.pull(NAME) == path
    assert len(hub_server.requests) == 1
    downloads = [event.done for event in events if event.stage == "download"]
    assert downloads == sorted(downloads)
    assert downloads[-1] == len(CONTENT)
    (local,) = hub.local_models()
    assert (local.name, local.size, local.verified) == (NAME, len(CONTENT), True)
    assert local.source_sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert hub.remove(NAME) >= len(CONTENT)
    assert hub.local_models() == []
    with pytest.raises(ModelNotFoundError):
        hub.remove(NAME)


def test_goes_on_after_broken_connections(hub_server: StandIn) -> None:
    hub_server.files[FILE] = CONTENT
    hub_server.cut_after = [300_000, 300_000]
    hub_server.status = []
    assert hub.pull(NAME).read_bytes() == CONTENT
    assert [wanted for _, wanted, _ in hub_server.requests] == [None, "bytes=300000-", "bytes=600000-"]


def test_goes_on_in_a_later_run(hub_server: StandIn) -> None:
    hub_server.files[FILE] = CONTENT
    hub_server.cut_after = [500_000, 0, 0, 0, 0, 0]
    with pytest.raises(DownloadError, match="resumes"):
        hub.pull(NAME)
    assert hub.local_models() == []
    hub_server.cut_after = []
    hub_server.requests.clear()
    assert hub.pull(NAME).read_bytes() == CONTENT
    assert [wanted for _, wanted, _ in hub_server.requests] == ["bytes=500000-"]


def test_starts_again_where_ranges_are_not_served(hub_server: StandIn) -> None:
    hub_server.files[FILE] = CONTENT
    hub_server.ranges = False
    hub_server.cut_after = [300_000]
    assert hub.pull(NAME).read_bytes() == CONTENT


def test_a_busy_hub_is_asked_again(hub_server: StandIn) -> None:
    hub_server.files[FILE] = CONTENT
    hub_server.status = [503, 429, 500]
    assert hub.pull(NAME).read_bytes() == CONTENT
    hub.remove(NAME)
    hub_server.status = [403]
    with pytest.raises(DownloadError, match="403"):
        hub.pull(NAME)


def test_a_wrong_hash_is_refused_and_leaves_nothing(hub_server: StandIn, cache: Path) -> None:
    hub_server.files[FILE] = CONTENT
    hub_server.announce = CONTENT[:-1] + b"x"
    with pytest.raises(DownloadError, match="expected"):
        hub.pull(NAME)
    assert not list(cache.rglob("*.gguf"))
    assert not list(cache.rglob("*.partial"))


def test_the_catalogues_hash_wins(hub_server: StandIn) -> None:
    hub_server.files[FILE] = CONTENT
    good = hashlib.sha256(CONTENT).hexdigest()
    assert hub.pull("tiny", entries=entry(good)).read_bytes() == CONTENT
    hub.remove("tiny")
    with pytest.raises(DownloadError, match="catalogue expects"):
        hub.pull("tiny", entries=entry("0" * 64))


def test_more_bytes_than_announced_are_refused(hub_server: StandIn) -> None:
    hub_server.files[FILE] = CONTENT
    hub_server.announce = CONTENT[:1000]
    with pytest.raises(DownloadError, match="more than"):
        hub.pull(NAME)


def test_what_is_no_gguf_is_refused(hub_server: StandIn) -> None:
    hub_server.files[FILE] = b"<html>" * 100
    with pytest.raises(ModelFormatError, match="GGUF"):
        hub.pull(NAME)
    assert hub.local_models() == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("hf:owner/repo/other.gguf", "no file other.gguf"),
        ("hf:nobody/none/model.gguf", "no repository nobody/none"),
    ],
)
def test_what_is_missing_is_named(hub_server: StandIn, name: str, words: str) -> None:
    hub_server.files[FILE] = CONTENT
    with pytest.raises(DownloadError, match=words):
        hub.pull(name)


def test_a_gated_model_asks_for_a_login(hub_server: StandIn) -> None:
    hub_server.files[FILE] = CONTENT
    hub_server.gated = True
    with pytest.raises(DownloadError, match="HF_TOKEN"):
        hub.pull(NAME)


def test_offline_says_so(hub_server: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(DownloadError, match="offline"):
        hub.pull(NAME)


def test_an_unreachable_hub_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(DownloadError, match="hub"):
        hub.pull(NAME)


def test_no_space_is_said_before_the_download(hub_server: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    hub_server.files[FILE] = CONTENT
    monkeypatch.setattr("sillar.hub.cache._DISK_RESERVE", 1 << 62)
    with pytest.raises(ResourceError, match="SILLAR_CACHE"):
        hub.pull(NAME)
    assert hub_server.requests == []


@pytest.mark.parametrize(
    "name", ["hf:owner", "hf:owner/repo", "hf:owner/repo/../x", "hf:../repo/x", "hf:a/b/c@d e"]
)
def test_malformed_addresses_are_refused(name: str) -> None:
    with pytest.raises(ModelError):
        hub.pull(name)
