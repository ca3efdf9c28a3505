"""Fetching through a proxy: it is asked for what is public, at every redirect, and for nothing private."""

from __future__ import annotations

import base64
import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread
from urllib.parse import urlsplit

import certifi
import pytest

from sillar.config import WebConfig
from sillar.documents.fetch import Validators, fetch
from sillar.documents.fetch_rules import FetchRules, make_rules
from sillar.errors import ConfigError, DocumentError
from tests.documents.test_fetch import names
from tests.documents.test_fetch_tls import certificate, serving_tls
from tests.documents.web_site import Site, html, redirect, site
from tests.loopback import serving

__all__ = ["names"]
PUBLIC = "93.184.216.34"
LOGIN = "ana:pass-word"


def relay(outer: socket.socket, port: int) -> None:
    """What either side says, until one of them ends."""
    with socket.create_connection(("127.0.0.1", port)) as inner, suppress(OSError):
        pair = {outer: inner, inner: outer}
        while True:
            for ready in select.select(list(pair), [], [])[0]:
                if not (data := ready.recv(65536)):
                    return
                pair[ready].sendall(data)


@contextmanager
def proxy(port: int) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """A proxy for which every name means this machine at `port`; its address with a login, and what it was
    asked: (method, target).
    """
    asked: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(("GET", self.path))
            if self._refused():
                return
            inner = HTTPConnection("127.0.0.1", port)
            parts = urlsplit(self.path)
            inner.request("GET", parts.path, headers={"Host": parts.netloc})
            answer = inner.getresponse()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name not in ("Server", "Date"):
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.read())
            inner.close()

        def do_CONNECT(self) -> None:
            asked.append(("CONNECT", self.path))
            if self._refused():
                return
            self.send_response(200)
            self.end_headers()
            relay(self.connection, port)

        def _refused(self) -> bool:
            login = "Basic " + base64.b64encode(LOGIN.encode()).decode()
            if self.headers.get("Proxy-Authorization") == login:
                return False
            self.send_error(407)
            return True

        def log_message(self, *arguments: object) -> None:
            pass

    with serving(Handler) as url:
        yield url.replace("://", f"://{LOGIN}@"), asked


def rules(through: str, *hosts: str, networks: str = "") -> FetchRules:
    return make_rules(hosts, networks.split(), WebConfig(seconds=60, proxy=through))


def port_of(web: Site) -> int:
    return int(web.host.partition(":")[2])


async def test_public_names_go_through_the_proxy_also_those_that_nobody_here_knows(
    tmp_path: Path, names: dict[str, list[str]]
) -> None:
    names["docs.example.com"] = [PUBLIC]
    with site(a=html("Text")) as web, proxy(port_of(web)) as (through, asked):
        allowed = rules(through, "docs.example.com", "far.example.com", PUBLIC)
        for host in ("docs.example.com", "far.example.com", PUBLIC):
            assert await fetch(f"http://{host}/a", allowed, Validators(), tmp_path / "p")
        assert asked == [
            ("GET", f"http://{host}/a") for host in ("docs.example.com", "far.example.com", PUBLIC)
        ]
        assert web.seen[0][1]["host"] == "docs.example.com"
        assert "proxy-authorization" not in web.seen[0][1]


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "10.0.0.7", "169.254.169.254", "[::1]", "[::ffff:10.0.0.7]", "localhost", "intranet",
     "127.1", "0x7f.0.0.1", "2130706433", "db.internal", "printer.local", "wiki.example.com"],
)  # fmt: skip
async def test_nothing_private_is_asked_of_the_proxy(
    tmp_path: Path, names: dict[str, list[str]], host: str
) -> None:
    here = ("localhost", "intranet", "127.1", "0x7f.0.0.1", "2130706433")
    names |= {name: ["127.0.0.1"] for name in here}
    names |= {"db.internal": ["10.0.0.7"], "wiki.example.com": ["10.0.0.8", PUBLIC]}
    with site() as web, proxy(port_of(web)) as (through, asked):
        with pytest.raises(DocumentError) as caught:
            await fetch(f"http://{host}/a", rules(through, host), Validators(), tmp_path / "p")
        assert caught.value.kind == "refused" or "not known" in str(caught.value)
        assert asked == []
        assert web.seen == []


async def test_inner_hosts_in_allowed_networks_are_asked_directly(
    tmp_path: Path, names: dict[str, list[str]]
) -> None:
    with site(a=html("Text")) as web, proxy(port_of(web)) as (through, asked):
        port = port_of(web)
        names |= {"intranet": ["127.0.0.1"], "wiki.example.com": ["127.0.0.1"]}
        hosts = [f"{name}:{port}" for name in ("127.0.0.1", "intranet", "wiki.example.com")]
        for host in hosts:
            allowed = rules(through, *hosts, networks="127.0.0.1")
            assert await fetch(f"http://{host}/a", allowed, Validators(), tmp_path / "p")
        assert (len(web.seen), asked) == (3, [])


async def test_every_redirect_is_checked_again(tmp_path: Path, names: dict[str, list[str]]) -> None:
    with site(end=html("Text")) as web, proxy(port_of(web)) as (through, asked):
        allowed = rules(through, "docs.example.com", "www.example.com", "10.0.0.7")
        web.pages["/a"] = redirect("http://www.example.com/end")
        assert await fetch("http://docs.example.com/a", allowed, Validators(), tmp_path / "p")
        for target in (
            "http://evil.example/end",
            "http://10.0.0.7/end",
            "http://localhost/end",
            "file:///etc/x",
        ):
            asked.clear()
            web.pages["/a"] = redirect(target)
            with pytest.raises(DocumentError):
                await fetch("http://docs.example.com/a", allowed, Validators(), tmp_path / "p")
            assert asked == [("GET", "http://docs.example.com/a")]


async def test_tls_reaches_through_it_and_the_certificate_has_to_be_the_name_s(
    tmp_path: Path, names: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    pem = certificate(tmp_path / "site.pem", "docs.example.com")
    monkeypatch.setattr(certifi, "where", lambda: str(pem))
    with serving_tls(pem) as (port, server_names), proxy(port) as (through, asked):
        allowed = rules(through, "docs.example.com", "other.example.com")
        assert await fetch("https://docs.example.com/a", allowed, Validators(), tmp_path / "p")
        assert (asked, server_names) == ([("CONNECT", "docs.example.com:443")], ["docs.example.com"])
        with pytest.raises(DocumentError, match="certificate"):
            await fetch("https://other.example.com/a", allowed, Validators(), tmp_path / "p")


async def test_a_proxy_that_refuses_or_is_not_there_is_a_reason_without_its_password(
    tmp_path: Path, names: dict[str, list[str]]
) -> None:
    with site() as web, proxy(port_of(web)) as (through, _):
        wrong = through.replace("pass-word", "pass-wort")
        with pytest.raises(DocumentError, match="407") as caught:
            await fetch(
                "https://docs.example.com/", rules(wrong, "docs.example.com"), Validators(), tmp_path / "p"
            )
        assert "pass-wort" not in str(caught.value)
    with pytest.raises(DocumentError) as caught:
        await fetch(
            "https://docs.example.com/", rules(through, "docs.example.com"), Validators(), tmp_path / "p"
        )
    assert "pass-word" not in str(caught.value)
    assert "pass-word" not in repr(rules(through))


async def test_the_environment_s_proxy_is_not_used(
    tmp_path: Path, names: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(a=html("Text")) as web, proxy(port_of(web)) as (through, asked):
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, through)
        assert await fetch(f"{web.url}/a", web.rules(), Validators(), tmp_path / "p")
        assert asked == []


@pytest.mark.parametrize(
    "wrong", ["socks4://p:1", "socks5://", "proxy:3128", "http://", "http://p/path", "ftp://u:secret@p"]
)
def test_what_is_no_proxy_is_an_error_that_keeps_its_secret(wrong: str) -> None:
    with pytest.raises(ConfigError, match=r"web\.proxy") as caught:
        rules(wrong)
    assert "secret" not in str(caught.value)


@contextmanager
def socks(port: int) -> Iterator[tuple[str, list[str]]]:
    """A SOCKS5 proxy for which every name means this machine at `port`; its address with a login, and the
    names and addresses that it was asked for.
    """
    asked: list[str] = []

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            self.rfile.read(self.rfile.read(2)[1])
            self.wfile.write(b"\x05\x02")
            name = self.rfile.read(self.rfile.read(2)[1])
            word = self.rfile.read(self.rfile.read(1)[0])
            if f"{name.decode()}:{word.decode()}" != LOGIN:
                self.wfile.write(b"\x01\x01")
                return
            self.wfile.write(b"\x01\x00")
            kind = self.rfile.read(4)[3]
            asked.append(self.rfile.read(self.rfile.read(1)[0]).decode() if kind == 3 else
                         socket.inet_ntoa(self.rfile.read(4)))  # fmt: skip
            self.rfile.read(2)
            self.wfile.write(b"\x05\x00\x00\x01" + bytes(6))
            relay(self.connection, port)

    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"socks5://{LOGIN}@127.0.0.1:{server.server_address[1]}", asked
        server.shutdown()
        thread.join()


async def test_a_socks_proxy_gets_names_and_nothing_private(
    tmp_path: Path, names: dict[str, list[str]]
) -> None:
    pytest.importorskip("socksio")
    with site(a=html("Text")) as web, socks(port_of(web)) as (through, asked):
        for scheme in ("socks5", "socks5h"):
            allowed = rules(through.replace("socks5", scheme), "far.example.com", "10.0.0.7")
            assert await fetch("http://far.example.com/a", allowed, Validators(), tmp_path / "p")
            with pytest.raises(DocumentError, match="private"):
                await fetch("http://10.0.0.7/a", allowed, Validators(), tmp_path / "p")
        assert asked == ["far.example.com"] * 2
        wrong = rules(through.replace("pass-word", "pass-wort"), "far.example.com")
        with pytest.raises(DocumentError, match="proxy") as caught:
            await fetch("http://far.example.com/a", wrong, Validators(), tmp_path / "p")
        assert "pass-wort" not in str(caught.value)


def test_without_its_library_a_socks_proxy_is_refused_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sillar.documents.fetch_rules.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'sillar\[socks\]'"):
        rules("socks5://ana:secret@proxy.example:1080")
