"""The page in a real browser: ask, open the source, vote, hand on, upload; hostile names stay inert."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.server.live import Live, live_server
from tests.web.conftest import HANDBOOK, Open, ask

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


@pytest.fixture
def tab(open_tab: Open, live: Live) -> Any:
    return open_tab(live.url)


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
    row.get_by_role("button", name="Remove").click()
    row.wait_for(state="detached")


def test_markup_in_names_and_texts_stays_text(tab: Any) -> None:
    ask(tab, "What is the mascot by decree?")
    assert HOSTILE in tab.inner_text("section")
    assert tab.locator("main img").count() == 0
    tab.click("nav >> text=Documents")
    tab.wait_for_selector("table")
    assert HOSTILE in tab.inner_text("table")
    assert tab.locator("main img").count() == 0


def test_a_refusal_shows_where_to_look(tab: Any) -> None:
    ask(tab, "Who won the chess championship of 1972?")
    assert tab.inner_text(".answer") == "The documents do not say."
    assert tab.locator(".chip").count() == 0
    tab.locator(".nearest button").first.click()
    tab.locator("dialog h2").wait_for()


def test_the_document_that_was_chosen_last_is_opened_whichever_comes_last(tab: Any) -> None:
    held: list[Any] = []
    sections = "**/v1/documents/*/sections"
    tab.route(sections, lambda route: route.continue_() if held else held.append(route))
    tab.click("nav >> text=Documents")
    tab.get_by_role("button", name=HOSTILE.replace("/", "")).and_(tab.locator(".link")).click()
    tab.get_by_role("button", name="Returns").click()
    tab.locator("dialog h2", has_text="Returns").wait_for()
    with tab.expect_response(sections):
        held[0].continue_()
    tab.evaluate("() => fetch('/health').then((response) => response.text())")
    assert tab.inner_text("dialog h2") == "Returns"


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
    ready = {"ask": ".welcome a", "documents": "table", "insights": ".tiles", "settings": "dl"}
    for section, shown in ready.items():
        tab.goto(f"{tab.url.split('#')[0]}#{section}")
        tab.wait_for_selector(shown)
        assert tab.evaluate("document.documentElement.scrollWidth") <= width


HOSTILE_TREE = [
    ["p", ["script", "document.title = 'run'"], ["img", {"src": "x"}], ["a", "click"], ["cite", 1]],
    ["table", ["tr", ["td", ["iframe", "https://evil.example"]]]],
    "<img src=https://evil.example/x>",
]


def test_a_servers_hostile_answer_runs_and_fetches_nothing(tab: Any) -> None:
    citation = {"number": 1, "document_id": 1, "document": HOSTILE, "page": None, "section": HOSTILE,
                "lines": [1, 2], "quote": HOSTILE, "start": 0, "end": 1}  # fmt: skip
    answer = {"id": "x", "answer": "x", "blocks": HOSTILE_TREE, "citations": [citation],
              "nearest": [citation], "abstained": True, "timings": {}}  # fmt: skip
    body = f"event: answer\ndata: {json.dumps(answer)}\n\ndata: [DONE]\n\n"
    tab.route("**/v1/ask", lambda route: route.fulfill(content_type="text/event-stream", body=body))
    ask(tab, "anything")
    assert tab.locator("main :is(script, img, a, iframe):not(.welcome *)").count() == 0
    assert HOSTILE in tab.inner_text(".sources >> nth=0")
    assert HOSTILE in tab.inner_text(".nearest .sources")
    assert tab.title() == "Ask · Sillar"
