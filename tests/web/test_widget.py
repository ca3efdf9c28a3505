"""The chat widget on other sites: it works where its key says, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from sillar.server.auth import Client, KeyStore
from tests.loopback import serving
from tests.server.live import Live, live_server
from tests.web.conftest import HANDBOOK, Open

SITE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Shop</title></head>
<body><h1>Shop</h1>
<script src="{server}/widget.js" data-key="widget" data-shadow="open" async></script></body></html>"""
POLICY = (
    "default-src 'none'; style-src 'self'; require-trusted-types-for 'script'; "
    "script-src {server}; connect-src {server}"
)


@contextmanager
def site() -> Iterator[tuple[str, list[str]]]:
    """A company's site with a strict policy of its own: its origin, and a list for our server's address."""
    server_url: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = SITE.format(server=server_url[0]).encode() if self.path == "/" else b""
            self.send_response(200 if content else 404)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Security-Policy", POLICY.format(server=server_url[0]))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    with serving(Handler) as address:
        yield address, server_url


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Live, str, str]]:
    """Our server, the site that may, and a site that may not."""
    folder = tmp_path_factory.mktemp("docs")
    (folder / "handbook.md").write_text(HANDBOOK)
    with site() as (good, first), site() as (foreign, second):
        widget = Client("widget", "shop", frozenset({"ask"}), 100, 4, 100, frozenset({good}))
        keys = KeyStore({sha256(b"widget").hexdigest(): widget})
        with live_server(documents=folder, keys=keys) as live:
            first.append(live.url)
            second.append(live.url)
            yield live, good, foreign


def test_a_visitor_asks_votes_and_hands_on_from_the_companys_site(open_tab: Open, places: Any) -> None:
    live, good, _ = places
    tab = open_tab(good, live.url)
    tab.get_by_role("button", name="Open the chat").click()
    tab.get_by_placeholder("Your question…").fill("Within how many days may goods be returned?")
    tab.keyboard.press("Enter")
    tab.locator(".answer", has_text="30 days").wait_for()
    tab.locator(".chip").first.click()
    assert "handbook.md" in tab.locator("details[open]").inner_text()
    tab.get_by_role("button", name="Helpful", exact=True).click()
    tab.locator("button[aria-pressed=true]").wait_for()
    tab.get_by_role("button", name="Ask a person").click()
    tab.get_by_label("How can we reach you?").fill("ana@example.org")
    tab.locator("form:not(.ask) button.on").click()
    tab.get_by_text("Handed on.").wait_for()
    assert tab.context.cookies() == []
    tab.keyboard.press("Escape")
    tab.get_by_role("button", name="Open the chat").wait_for()


def test_another_site_is_refused(open_tab: Open, places: Any) -> None:
    live, _, foreign = places
    tab = open_tab(foreign, live.url)
    tab.get_by_role("button", name="Open the chat").click()
    tab.get_by_placeholder("Your question…").fill("Within how many days may goods be returned?")
    tab.keyboard.press("Enter")
    tab.get_by_text("That did not work.").wait_for()
    assert tab.locator(".answer").count() == 0
