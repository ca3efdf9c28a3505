"""A browser for the page's tests, and tabs that fail their test when the page errs or reaches elsewhere."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
)

HANDBOOK = "# Returns\n\nGoods may be returned within 30 days of delivery.\n\n# Hours\n\nWe open at nine.\n"
Open = Callable[..., Any]
KEEP_NOTICES = """(() => { const later = window.setTimeout;
  window.setTimeout = (work, pause, ...rest) => (pause >= 5000 ? 0 : later(work, pause, ...rest)); })();"""
"""A notice goes by itself after seconds, which a busy machine may take to see it."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/web/" in item.path.as_posix():
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="module")  # its event loop must not outlive the module
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this machine")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def open_tab(browser: Any) -> Iterator[Open]:
    """open_tab(url, *further origins): a tab there."""
    tabs = []

    @contextmanager
    def opened(url: str, *others: str, **options: Any) -> Iterator[Any]:
        settings = {"locale": "en-US", "viewport": {"width": 1000, "height": 800}, **options}
        context = browser.new_context(**settings)
        context.set_default_timeout(120_000)  # for what hangs
        context.add_init_script(KEEP_NOTICES)
        tab = context.new_page()
        problems: list[str] = []
        allowed = (url.partition("/#")[0], *others, "blob:")
        tab.on("pageerror", lambda error: problems.append(str(error)))
        tab.on("dialog", lambda dialog: (problems.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        tab.on("request", lambda r: problems.append(r.url) if not r.url.startswith(allowed) else None)
        tab.goto(url)
        yield tab
        context.close()
        assert problems == []

    def open_(*arguments: Any, **options: Any) -> Any:
        tabs.append(opened(*arguments, **options))
        return tabs[-1].__enter__()

    yield open_
    for tab in tabs:
        tab.__exit__(None, None, None)


def ask(tab: Any, question: str) -> None:
    """Types the question and waits until its answer is whole."""
    before = tab.locator("section .answer:not(.waiting)").count()
    tab.fill("#question", question)
    tab.press("#question", "Enter")
    tab.locator("section .answer:not(.waiting)").nth(before).wait_for()
    at_rest(tab)


def at_rest(tab: Any) -> None:
    """Waits until the next question may be asked: a stream ends after its answer."""
    tab.locator(".composer button.primary", has_text=re.compile("Ask|Preguntar")).wait_for()
