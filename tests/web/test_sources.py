"""The documents' view for whoever runs it: pages of the web by address, and who may read a collection."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from sillar.server.auth import Client, KeyStore
from tests.documents.web_site import Site, html, site
from tests.server.live import Live, live_server
from tests.web.conftest import HANDBOOK, Open, ask
from tests.web.test_accessibility import serious

PEOPLE = {"ana": Client("ana", "ana"), "bob": Client("bob", "bob", frozenset({"ask", "documents"}))}
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def web() -> Iterator[Site]:
    with site(birds=html("The canary sleeps in the cellar of the warehouse.", "Birds")) as served:
        yield served


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, web: Site) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("docs")
    (folder / "handbook.md").write_text(HANDBOOK)
    keys = KeyStore({sha256(name.encode()).hexdigest(): client for name, client in PEOPLE.items()})
    with live_server(documents=folder, keys=keys) as live:
        live.state.library.rules = web.rules()
        yield live


def documents(open_tab: Open, live: Live, key: str, **options: Any) -> Any:
    tab = open_tab(f"{live.url}/#key={key}", **options)
    tab.click("nav >> text=Documents")
    tab.wait_for_selector("table")
    return tab


def test_a_page_is_fetched_by_its_address_and_can_be_asked(open_tab: Open, live: Live, web: Site) -> None:
    tab = documents(open_tab, live, "ana")
    assert web.host in tab.inner_text("#urls-hint")
    field = tab.get_by_label("Or pages of the web")
    tab.get_by_role("button", name="Fetch pages").click()
    assert tab.get_by_role("alert").first.inner_text() == "Enter an address first."
    field.fill("https://elsewhere.example/")
    tab.get_by_role("button", name="Fetch pages").click()
    tab.get_by_text("elsewhere.example is not among the hosts").wait_for()
    assert field.get_attribute("aria-invalid") == "true"
    assert field.input_value() == "https://elsewhere.example/"
    field.fill(f"{web.url}/birds\n{web.url}/missing")
    tab.get_by_role("button", name="Fetch pages").click()
    tab.locator("tr", has_text="Birds").get_by_text("ready").wait_for()
    tab.locator("tr", has_text="/missing").get_by_text("404").wait_for()
    assert field.input_value() == ""
    tab.click("nav >> text=Ask")
    ask(tab, "Where does the canary sleep?")
    assert "cellar" in tab.inner_text(".answer")


def test_readers_of_a_collection_are_shown_and_changed(open_tab: Open, live: Live, tmp_path: Path) -> None:
    note = tmp_path / "zircon.md"
    note.write_text("# Zircon\n\nThe zircon lies in the red box.\n")
    tab = documents(open_tab, live, "ana")
    tab.fill("#target", "Stones")
    tab.set_input_files("#files", note)
    row = tab.locator("#readers tr", has_text="Stones")
    row.get_by_text("nobody else").wait_for()
    tab.locator("tr", has_text="zircon.md").get_by_text(
        "ready"
    ).wait_for()  # another's page does not wait for it
    row.get_by_role("button", name="Change: Stones").click()
    assert tab.evaluate("document.activeElement.id") == "names"
    tab.get_by_label("Readers", exact=True).fill(f"bob\n{HOSTILE}")
    tab.get_by_role("button", name="Save").click()
    row.get_by_text(f"{HOSTILE}, bob").wait_for()
    assert tab.locator("main img").count() == 0
    reader = documents(open_tab, live, "bob")
    reader.locator("tr", has_text="zircon.md").wait_for()
    assert not reader.locator("#readers").is_visible()
    row.get_by_role("button", name="Change: Stones").click()
    tab.get_by_label("Everyone who has a key").check()
    assert tab.get_by_label("Readers", exact=True).is_disabled()
    tab.keyboard.press("Escape")
    assert "bob" in row.inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_both_are_accessible_fit_a_phone_and_speak_spanish(open_tab: Open, live: Live, scheme: str) -> None:
    size = {"width": 360, "height": 700}
    tab = documents(open_tab, live, "ana", color_scheme=scheme, bypass_csp=True, viewport=size)
    tab.select_option("#language", "es")
    tab.get_by_role("heading", name="Quién puede leer sus colecciones").wait_for()
    tab.get_by_role("button", name="Descargar páginas").wait_for()
    assert tab.evaluate("document.documentElement.scrollWidth") <= 360
    found = serious(tab)
    tab.get_by_role("button", name="Cambiar").first.click()
    tab.get_by_label("Todos los que tienen clave").wait_for()
    assert found + serious(tab) == []
