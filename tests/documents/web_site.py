"""A web site on a loopback port whose pages a test writes and whose requests it reads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import ClassVar

from sillar.config import WebConfig
from sillar.documents import FetchRules, make_rules
from tests.loopback import serving


@dataclass
class Page:
    """What a path answers with; `act` writes an answer of its own to the connection instead."""

    content: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    act: Callable[[BaseHTTPRequestHandler], None] | None = None


@dataclass
class Site:
    """Pages by path; `seen`: (path, headers) of every request, in order."""

    url: str
    pages: dict[str, Page]
    seen: list[tuple[str, dict[str, str]]]
    done: threading.Event

    @property
    def host(self) -> str:
        return self.url.removeprefix("http://")

    def rules(self, *hosts: str, seconds: float = 60.0, max_bytes: int = 1 << 20) -> FetchRules:
        """Allows this site."""
        config = WebConfig(seconds=seconds, max_bytes=max_bytes)
        return make_rules([self.host, *hosts], ["127.0.0.1"], config)

    def paths(self) -> list[str]:
        return [path for path, _ in self.seen]


def html(text: str, title: str = "A page") -> Page:
    content = f"<!doctype html><title>{title}</title><h1>{title}</h1><p>{text}</p>"
    return Page(content.encode(), headers={"Content-Type": "text/html; charset=utf-8"})


def redirect(to: str, status: int = 302) -> Page:
    return Page(status=status, headers={"Location": to})


@contextmanager
def site(**pages: Page) -> Iterator[Site]:
    """`pages`: by name, without the slash. `done` is set at the end, for answers that never end."""
    served = Site("", {f"/{name}": page for name, page in pages.items()}, [], threading.Event())

    class Handler(BaseHTTPRequestHandler):
        protocol_version: ClassVar[str] = "HTTP/1.1"

        def do_GET(self) -> None:
            served.seen.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
            page = served.pages.get(self.path, Page(status=404))
            with suppress(OSError):
                if page.act is not None:
                    self.close_connection = True
                    page.act(self)
                    return
                self.send_response(page.status)
                for name, value in {"Content-Length": str(len(page.content)), **page.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(page.content)

        def log_message(self, *arguments: object) -> None:
            pass

    with serving(Handler) as url:
        served.url = url
        try:
            yield served
        finally:
            served.done.set()
