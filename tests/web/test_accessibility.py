"""axe finds nothing serious in any view, light or dark; the keyboard reaches everything, visibly."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.server.live import Live, live_server
from tests.web.conftest import HANDBOOK, Open, ask, at_rest

QUESTION = "Within how many days may goods be returned?"


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("docs")
    (folder / "handbook.md").write_text(HANDBOOK)
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7 and nothing else")
    with live_server(documents=folder) as live:
        yield live


def serious(tab: Any) -> list[str]:
    """What axe calls serious or critical, with the elements."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed").Axe()
    found = axe.run(tab).response["violations"]
    grave = [violation for violation in found if violation["impact"] in ("serious", "critical")]
    return [f"{v['id']}: {[node['html'][:200] for node in v['nodes']]}" for v in grave]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(open_tab: Open, live: Live, scheme: str) -> None:
    tab = open_tab(live.url, color_scheme=scheme, bypass_csp=True)
    problems = {"welcome": serious(tab)}
    ask(tab, QUESTION)
    tab.get_by_role("button", name="Not helpful").click()
    tab.get_by_text("What was wrong?").wait_for()
    problems["answer"] = serious(tab)
    tab.click(".chip")
    tab.wait_for_selector("dialog mark")
    problems["passage"] = serious(tab)
    tab.keyboard.press("Escape")
    tab.get_by_role("button", name="Hand to a person").first.click()
    tab.get_by_label("How can we reach you?").fill("ana@example.org")
    problems["handoff"] = serious(tab)
    tab.get_by_role("button", name="Send", exact=True).click()
    tab.get_by_text("Handed on.").wait_for()
    ask(tab, "Who was the king of Atlantis?")
    for section, ready in (("documents", "table"), ("insights", ".chart"), ("settings", "dl")):
        tab.goto(f"{live.url}/#{section}")
        tab.wait_for_selector(ready)
        problems[section] = serious(tab)
    assert {view: found for view, found in problems.items() if found} == {}


def test_all_of_a_conversation_can_be_done_with_the_keyboard(open_tab: Open, live: Live) -> None:
    tab = open_tab(live.url)
    tab.wait_for_selector("#question:focus")
    tab.keyboard.type(QUESTION)
    tab.keyboard.press("Enter")
    tab.wait_for_selector("section .answer:not(.waiting)")
    at_rest(tab)
    tab.wait_for_selector("#question:focus")
    reached = walk(tab, back=True)
    tools = ("Source 1: handbook.md", "Helpful", "Not helpful", "Hand to a person", "Copy with sources")
    frame = ("New conversation", "Ask", "Documents", "Insights", "Settings", "Skip to content")
    for name in (*tools, *frame):
        assert name in reached
    tab.locator(".chip").focus()
    tab.keyboard.press("Enter")
    tab.wait_for_selector("dialog[open] mark")
    assert tab.evaluate("document.activeElement.closest('dialog') !== null")
    tab.keyboard.press("Escape")
    assert tab.evaluate("document.activeElement.className") == "chip"


def test_documents_can_be_reached_with_the_keyboard_and_nobody_is_asked_for_a_key_that_nobody_has(
    open_tab: Open, live: Live
) -> None:
    tab = open_tab(f"{live.url}/#documents")
    tab.wait_for_selector("table")
    assert "Choose files" in walk(tab)
    tab.goto(f"{live.url}/#settings")
    tab.wait_for_selector("dl")
    tab.get_by_text("This server has no keys").wait_for()
    assert tab.get_by_label("Access key").count() == 0


def test_a_list_that_changes_keeps_the_focus_and_says_each_stage_once(open_tab: Open, live: Live) -> None:
    def row(name: str) -> dict[str, Any]:
        about = {"state": "indexed", "collection": "", "passages": 1, "removable": True}
        return {"id": f"id-{name}", "title": name, "path": f"{name}.md", **about}

    shown, stage = ["ant", "bee"], "embedding"

    def jobs(route: Any) -> None:
        rows = [{"id": 1, "document": "cat.md", "collection": "", "stage": stage}] if stage else []
        route.fulfill(json={"data": rows, "more": 0})

    tab = open_tab(live.url)
    tab.evaluate("() => { window.confirm = () => true; }")
    tab.route("**/v1/jobs", jobs)
    tab.route("**/v1/documents", lambda route: route.fulfill(json={"data": [row(name) for name in shown]}))
    tab.route("**/v1/documents/*", lambda route: (shown.remove("bee"), route.fulfill(status=204)))
    tab.click("nav >> text=Documents")
    tab.get_by_role("button", name="Remove bee.md").focus()
    tab.evaluate("() => { document.querySelector('.progress').same = true; }")
    shown.append("cat")
    tab.locator("tr", has_text="cat.md").wait_for()
    assert focused(tab) == "Remove bee.md"
    assert tab.evaluate("() => document.querySelector('.progress').same")
    stage = "storing"
    tab.locator(".progress", has_text="saving").wait_for()
    assert not tab.evaluate("() => document.querySelector('.progress').same")
    tab.keyboard.press("Enter")
    tab.locator("tr", has_text="bee.md").wait_for(state="detached")
    assert focused(tab) == "Remove cat.md"
    stage = ""
    tab.locator(".progress").wait_for(state="detached")


def focused(tab: Any) -> str:
    return str(tab.evaluate("() => document.activeElement.ariaLabel"))


def walk(tab: Any, *, back: bool = False) -> list[str]:
    """The names of what the tab key reaches, each with a visible focus."""
    names: list[str] = []
    for _ in range(40):
        tab.keyboard.press("Shift+Tab" if back else "Tab")
        name, ring = tab.evaluate(
            """() => { const e = document.activeElement;
              const name = e.ariaLabel || e.labels?.[0]?.innerText || e.innerText || "";
              const box = e.closest(".box") ?? e;
              return [name.trim(), getComputedStyle(box).outlineStyle !== "none" || e === document.body]; }"""
        )
        assert ring, name
        if name in names:
            break
        names.append(name)
    return names
