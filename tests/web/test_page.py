"""The page in a real browser: ask, open the source, vote, hand on, upload; hostile names stay inert."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.server.live import Live, live_server

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
]

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
)
HANDBOOK = "# Returns\n\nGoods may be returned within 30 days of delivery.\n\n# Hours\n\nWe open at nine.\n"
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("docs")
    (folder / "handbook.md").write_text(HANDBOOK)
    (folder / f"{HOSTILE.replace('/', '')}.md").write_text(
        f"# {HOSTILE}\n\nThe mascot is {HOSTILE} by decree.\n"
    )
    with live_server(documents=folder) as live:
        yield live


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def tab(browser: Any, live: Live) -> Iterator[Any]:
    """A tab at the page; fails the test when the page logs an error or reaches for another host."""
    context = browser.new_context(locale="en-US", viewport={"width": 1000, "height": 800})
    tab = context.new_page()
    problems: list[str] = []
    tab.on("pageerror", lambda error: problems.append(str(error)))
    tab.on("dialog", lambda dialog: (problems.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    tab.on("request", lambda r: problems.append(r.url) if not r.url.startswith((live.url, "blob:")) else None)
    tab.goto(live.url)
    yield tab
    context.close()
    assert problems == []


def ask(tab: Any, question: str) -> None:
    tab.fill("#question", question)
    tab.press("#question", "Enter")
    tab.wait_for_selector("section .answer:not(.waiting)")


def test_a_question_its_source_a_vote_and_a_ticket(tab: Any) -> None:
    ask(tab, "Within how many days may goods be returned?")
    assert "30 days" in tab.inner_text(".answer")
    tab.click(".chip")
    assert "within 30 days" in tab.inner_text("dialog mark")
    tab.keyboard.press("Escape")
    tab.get_by_role("button", name="Helpful", exact=True).click()
    tab.get_by_text("Thank you, noted.").wait_for()
    tab.get_by_role("button", name="Hand to a person").click()
    tab.get_by_label("How can we reach you?").fill("ana@example.org")
    tab.get_by_role("button", name="Send").click()
    tab.get_by_text("Handed on.").wait_for()
    tab.goto(tab.url.split("#")[0] + "#insights")
    tab.wait_for_selector(".chart")
    assert "1 / 0\nHelpful / not" in tab.inner_text("main")
    assert "ana@example.org" in tab.inner_text("main")


def test_an_upload_appears_can_be_asked_and_removed(tab: Any, tmp_path: Path) -> None:
    tab.click("nav >> text=Documents")
    note = tmp_path / "parking.md"
    note.write_text("# Parking\n\nVisitors park behind the lighthouse.\n")
    tab.set_input_files("#files", note)
    row = tab.locator("tr", has_text="parking.md")
    row.wait_for()
    tab.click("nav >> text=Ask")
    ask(tab, "Where do visitors park?")
    assert "lighthouse" in tab.inner_text(".answer")
    tab.click("nav >> text=Documents")
    tab.evaluate("() => { window.confirm = () => true; }")
    row.get_by_role("button").click()
    row.wait_for(state="detached")


def test_markup_in_names_and_texts_stays_text(tab: Any) -> None:
    ask(tab, "What is the mascot by decree?")
    assert HOSTILE in tab.inner_text("section")
    assert tab.locator("main img").count() == 0
    tab.click("nav >> text=Documents")
    tab.wait_for_selector("table")
    assert HOSTILE in tab.inner_text("table")
    assert tab.locator("main img").count() == 0


def test_spanish_and_the_keyboard(tab: Any) -> None:
    tab.select_option("#language", "es")
    assert tab.inner_text("h1") == "Pregunte a sus documentos"
    assert tab.evaluate("document.documentElement.lang") == "es"
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.tagName") in {"TEXTAREA", "BUTTON", "A", "SELECT"}


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_the_screen(tab: Any, width: int, scheme: str) -> None:
    tab.emulate_media(color_scheme=scheme)
    tab.set_viewport_size({"width": width, "height": 700})
    for section in ("ask", "documents", "insights", "settings"):
        tab.goto(f"{tab.url.split('#')[0]}#{section}")
        tab.wait_for_selector("h1")
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
