"""fetch: pages into an index, only from hosts that are allowed; told what became of each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from sillar.cli import documents
from sillar.cli import web as command
from tests.cli.test_app import run
from tests.cli.test_documents import folder
from tests.documents.web_site import Site, html, site

__all__ = ["folder"]
HERE = ("--allow-network", "127.0.0.1")


@pytest.fixture
def web(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(command, "embedder", documents.embedder)
    with site(valve=html("The valve opens at noon.", "Valve")) as served:
        yield served


def test_pages_are_fetched_again_without_being_named(
    folder: Path,
    web: Site,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    listed = tmp_path / "urls.txt"
    listed.write_text(f"# the pages\n{web.url}/valve\n\n{web.url}/absent\n")
    allow = ("--allow", web.host, *HERE)
    assert run("fetch", str(folder), "--urls", str(listed), *allow) == 0
    said = capsys.readouterr().err
    assert f"not fetched: {web.url}/absent: The server answered 404." in said
    assert "1 fetched, 0 unchanged, 0 moved, 0 gone, 1 failed" in said
    assert "SILLAR_WEB_PROXY=$HTTPS_PROXY" in said
    assert run("index", str(folder)) == 0
    assert run("fetch", str(folder), *allow, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["read"], report["unchanged"], list(report["failed"])) == (0, 1, [f"{web.url}/absent"])
    question = ("ask", str(folder), "When does the valve open?", "--style", "quote", "--never-abstain")
    assert run(*question) == 0
    assert f"] {web.url}/valve, Valve" in capsys.readouterr().out
    assert run("index", str(folder), "--rebuild") == 0
    assert run(*question) == 0
    assert f"] {web.url}/valve, Valve" in capsys.readouterr().out
    assert run("fetch", str(folder), f"{web.url}/valve", "--remove", "--json") == 0
    assert json.loads(capsys.readouterr().out)["removed"] == 1
    assert run(*question) == 0
    assert "/valve" not in capsys.readouterr().out


def test_only_hosts_that_are_allowed(
    folder: Path, web: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"{web.url}/valve"
    assert run("fetch", str(folder), url) == 2
    assert "--allow HOST" in capsys.readouterr().err
    assert run("fetch", str(folder), url, "--allow", "docs.example.com") == 2
    assert web.host in capsys.readouterr().err
    assert run("fetch", str(folder), url, "--allow", "https://docs.example.com/") == 2
    assert run("fetch", str(folder), url, "--allow", web.host, "--allow-network", "here") == 2
    assert web.seen == []
    assert run("fetch", str(folder), url, "--allow", web.host) == 0
    assert "private network or of this machine" in capsys.readouterr().err
    assert web.seen == []
    monkeypatch.setenv("SILLAR_WEB_HOSTS", web.host)
    monkeypatch.setenv("SILLAR_WEB_NETWORKS", "127.0.0.0/8")
    assert run("fetch", str(folder), url) == 0
    assert "1 fetched" in capsys.readouterr().err


def test_a_list_that_cannot_be_read_is_an_error(folder: Path, web: Site, tmp_path: Path) -> None:
    assert run("fetch", str(folder), "--urls", str(tmp_path / "none"), "--allow", web.host) == 2
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    assert run("fetch", str(folder), "--urls", str(tmp_path / "bytes"), "--allow", web.host) == 2
    assert run("fetch", str(folder), "--remove") == 2
