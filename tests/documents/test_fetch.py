"""Fetching one page: hosts that are not allowed, addresses that are not public, and answers that mean harm.

Nothing here leaves the loopback interface: names are resolved by the test.
"""

from __future__ import annotations

import asyncio
import gzip
import socket
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from sillar.documents.fetch import Fetched, Validators, fetch
from sillar.documents.fetch_rules import FetchRules, canonical, check, is_public, make_rules
from sillar.errors import ConfigError, DocumentError
from tests.documents.web_site import Page, Site, html, redirect, site

NEW = Validators()


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """What names mean; any other name is not known, and none is asked for outside."""
    known: dict[str, list[str]] = {"127.0.0.1": ["127.0.0.1"]}

    async def getaddrinfo(
        self: object, host: str, port: int, **options: object
    ) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        if host not in known:
            raise socket.gaierror(socket.EAI_NONAME, "not known")
        return [(0, 0, 0, "", (address, port)) for address in known[host]]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)
    return known


async def refusal(url: str, rules: FetchRules, target: Path) -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        await fetch(url, rules, NEW, target)
    return caught.value


async def test_a_page_comes_with_its_kind_and_validators(tmp_path: Path) -> None:
    page = html("Text")
    page.headers |= {"ETag": '"a1"', "Last-Modified": "Sun, 22 Nov 2026 10:00:00 GMT"}
    with site(start=page) as web:
        found = await fetch(f"{web.url}/start#part", web.rules(), NEW, tmp_path / "p")
        assert found is not None
        assert (found.name, found.size, found.validators.etag) == ("page.html", len(page.content), '"a1"')
        assert (tmp_path / "p").read_bytes() == page.content
        path, headers = web.seen[0]
        assert (path, headers["host"], headers["accept-encoding"]) == ("/start", web.host, "identity")
        page.status, page.content = 304, b""
        assert await fetch(f"{web.url}/start", web.rules(), found.validators, tmp_path / "q") is None
        assert web.seen[1][1]["if-none-match"] == '"a1"'
        assert web.seen[1][1]["if-modified-since"].startswith("Sun, 22 Nov")
        assert "304" in str(await refusal(f"{web.url}/start", web.rules(), tmp_path / "q"))


@pytest.mark.parametrize(
    ("path", "content_type", "content", "name"),
    [
        ("/guide.md", "text/plain", b"# Guide", "page.md"),
        ("/guide.md", "text/html", b"<html>", "page.html"),
        ("/guide", "text/markdown; charset=utf-8", b"# Guide", "page.md"),
        ("/a.pdf", "application/octet-stream", b"%PDF-", "page.pdf"),
        ("/download?id=1", "application/octet-stream", b"PK\x03\x04", "page.zip"),
        ("/notes", "", b"some notes", "page.txt"),
    ],
)
async def test_what_kind_of_page_it_is(
    tmp_path: Path, path: str, content_type: str, content: bytes, name: str
) -> None:
    with site() as web:
        web.pages[path] = Page(content, headers={"Content-Type": content_type})
        found = await fetch(web.url + path, web.rules(), NEW, tmp_path / "p")
        assert isinstance(found, Fetched)
        assert found.name == name


async def test_a_kind_that_is_not_read_is_refused(tmp_path: Path) -> None:
    with site(film=Page(b"...", headers={"Content-Type": "video/mp4"})) as web:
        error = await refusal(f"{web.url}/film", web.rules(), tmp_path / "p")
        assert error.kind == "unsupported"
        assert "video/mp4" in str(error)


async def test_a_charset_that_only_the_server_names(tmp_path: Path) -> None:
    headers = {"Content-Type": "text/plain; charset=ISO-8859-2"}
    page = Page("Příliš žluťoučký".encode("iso-8859-2"), headers=headers)
    with site(cs=page) as web:
        await fetch(f"{web.url}/cs", web.rules(), NEW, tmp_path / "p")
        assert (tmp_path / "p").read_text("utf-8") == "Příliš žluťoučký"
        page.headers["Content-Type"] = "text/plain; charset=zlib"
        await fetch(f"{web.url}/cs", web.rules(), NEW, tmp_path / "p")
        assert (tmp_path / "p").read_bytes() == page.content


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://docs.example.com/a",
        "gopher://docs.example.com/",
        "//docs.example.com/a",
        "https:///a",
        "docs.example.com",
        "https://docs.example.com:99999/",
        "https://docs.example.com/\n",
        "https://docs.example.com/" + "a" * 3000,
        "https://ana:secret@docs.example.com/",
        "https://docs.example.com@evil.example/",
        "https://docs.example.com.evil.example/",
        "https://docs.example.com:8443/",
        "https://evil.example/docs.example.com",
        "http://[::1]/",
        "http://127.0.0.1/",
        "http://2130706433/",
        "http://ｄｏｃｓ.example.org/",
        "https://d\u043ecs.example.com/",
    ],
)
async def test_addresses_that_are_not_allowed_are_refused_before_anything_is_asked(
    tmp_path: Path, names: dict[str, list[str]], url: str
) -> None:
    rules = make_rules(["docs.example.com"])
    with pytest.raises(ConfigError) as caught:
        check(url, rules)
    assert "secret" not in str(caught.value)
    assert (await refusal(url, rules, tmp_path / "p")).kind == "refused"


def test_one_address_has_one_spelling() -> None:
    assert canonical(" https://Docs.Example.com:443/a?b=1#c ") == "https://docs.example.com/a?b=1"
    rules = make_rules(["Docs.Example.com", "münchen.example:8443", "[2001:db8::1]"])
    for url in (
        "https://DOCS.example.com./a",
        "https://xn--mnchen-3ya.example:8443/",
        "http://[2001:db8::1]/",
    ):
        check(url, rules)
    for wrong in ("docs.example.com/path", "https://docs.example.com", "a b", "", "u@h"):
        with pytest.raises(ConfigError):
            make_rules([wrong])
    with pytest.raises(ConfigError, match="network"):
        make_rules([], ["10.0.0.0/99"])


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
     "224.0.0.1", "::1", "::", "fe80::1%eth0", "fc00::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::",
     "ff02::1"],
)  # fmt: skip
async def test_a_name_that_means_a_private_address_is_refused(
    tmp_path: Path, names: dict[str, list[str]], address: str
) -> None:
    assert not is_public(address)
    names["docs.example.com"] = ["93.184.216.34", address]  # one good address does not help
    error = await refusal("http://docs.example.com/", make_rules(["docs.example.com"]), tmp_path / "p")
    assert error.kind == "refused"
    assert address not in str(error), "what the inner network looks like is nobody's business"


def test_public_addresses() -> None:
    assert is_public("93.184.216.34")
    assert is_public("2606:2800:220:1::1")
    assert make_rules([], ["10.20.0.0/16"]).reaches("10.20.3.4")
    assert not make_rules([], ["10.20.0.0/16"]).reaches("10.21.3.4")


async def test_the_address_that_was_looked_at_is_the_one_that_is_asked(
    tmp_path: Path, names: dict[str, list[str]]
) -> None:
    with site(a=html("Text")) as web:
        port = web.host.partition(":")[2]
        names["intranet"] = ["127.0.0.1"]
        rules = make_rules([f"intranet:{port}"], ["127.0.0.1"])
        await fetch(f"http://intranet:{port}/a", rules, NEW, tmp_path / "p")
        assert web.seen[0][1]["host"] == f"intranet:{port}"
        names["intranet"] = ["127.0.0.2", "127.0.0.1"]  # nobody answers at the first
        wide = make_rules([f"intranet:{port}"], ["127.0.0.0/8"])
        await fetch(f"http://intranet:{port}/a", wide, NEW, tmp_path / "p")
        assert len(web.seen) == 2
        assert "not known" in str(await refusal("http://nowhere/", make_rules(["nowhere"]), tmp_path / "p"))


async def test_redirects_are_checked_at_every_step(tmp_path: Path, names: dict[str, list[str]]) -> None:
    names |= {"inner.example": ["10.0.0.7"], "localhost": ["127.0.0.1"]}
    with site(end=html("Text")) as web:
        rules = web.rules("inner.example")
        web.pages["/a"] = redirect("/b?x=1", 301)
        web.pages["/b?x=1"] = redirect(f"{web.url}/end", 308)
        assert await fetch(f"{web.url}/a", rules, NEW, tmp_path / "p") is not None
        port = web.host.partition(":")[2]
        for target in (
            "http://inner.example/",
            "http://169.254.169.254/latest/meta-data/",
            f"http://localhost:{port}/end",
            "file:///etc/passwd",
            "http://[::1]/",
            f"http://user:pass@{web.host}/end",
            "//evil.example/",
            "http://[broken/",
            "",
        ):
            web.pages["/a"] = redirect(target)
            web.seen.clear()
            error = await refusal(f"{web.url}/a", rules, tmp_path / "p")
            assert error.kind in {"refused", "limits", "unreadable"}
            assert "/end" not in web.paths()
        web.pages["/a"] = redirect("/a")
        web.seen.clear()
        assert (await refusal(f"{web.url}/a", rules, tmp_path / "p")).kind == "limits"
        assert len(web.seen) == rules.redirects + 1


def endless(handler: BaseHTTPRequestHandler, done: Site) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
    while not done.done.is_set():
        handler.wfile.write(b"more and more " * 4000)


def slow(handler: BaseHTTPRequestHandler, done: Site) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 99999\r\n\r\n")
    while not done.done.wait(0.02):
        handler.wfile.write(b".")


def cut(handler: BaseHTTPRequestHandler, done: Site) -> None:
    handler.wfile.write(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 500\r\n\r\nonly this"
    )


def nonsense(handler: BaseHTTPRequestHandler, done: Site) -> None:
    handler.wfile.write(b"220 mail.example ESMTP\r\n")


def long_head(handler: BaseHTTPRequestHandler, done: Site) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while not done.done.is_set():
        handler.wfile.write(b"X-Filler: " + b"x" * 4000 + b"\r\n")


def squeezed(handler: BaseHTTPRequestHandler, done: Site) -> None:
    body = gzip.compress(bytes(50 << 20))
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n"
    handler.wfile.write(head.encode() + body)


@pytest.mark.parametrize(
    ("act", "kind"),
    [
        (endless, "too_large"),
        (slow, "limits"),
        (cut, "unreadable"),
        (nonsense, "unreadable"),
        (long_head, "unreadable"),
        (squeezed, "refused"),
    ],
)
async def test_answers_that_mean_harm_end_in_a_reason(tmp_path: Path, act: object, kind: str) -> None:
    with site() as web:
        web.pages["/x"] = Page(act=lambda handler: act(handler, web))  # type: ignore[operator]
        seconds = 0.5 if act is slow else 60.0
        error = await refusal(f"{web.url}/x", web.rules(seconds=seconds), tmp_path / "p")
        assert error.kind == kind
        assert not (tmp_path / "p").exists() or (tmp_path / "p").stat().st_size <= 1 << 20


async def test_statuses_are_reasons(tmp_path: Path) -> None:
    with site(gone=Page(status=410), bad=Page(status=503), part=Page(b"x", status=206)) as web:
        kinds = {
            path: (await refusal(f"{web.url}/{path}", web.rules(), tmp_path / "p")).kind
            for path in ("gone", "absent", "bad", "part")
        }
        assert kinds == {"gone": "gone", "absent": "gone", "bad": "unreadable", "part": "unreadable"}
