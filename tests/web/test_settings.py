"""Settings: an administrator makes a key, sees it once, and revokes it; others see no keys at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from sillar.server.auth import KeyStore, new_key, parse_keys
from sillar.server.key_file import KeyFile
from tests.server.live import Live, live_server
from tests.web.conftest import HANDBOOK, Open
from tests.web.test_accessibility import serious, walk

BOSS, BOSS_HASH = new_key()
READER, READER_HASH = new_key()
FILE = f"""
[[key]]
name = "boss"
sha256 = "{BOSS_HASH}"
tenant = "acme"

[[key]]
name = "reader"
sha256 = "{READER_HASH}"
tenant = "acme"
scopes = ["ask", "documents"]
"""


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("docs")
    (folder / "handbook.md").write_text(HANDBOOK)
    path = tmp_path_factory.mktemp("keys") / "keys.toml"
    path.write_text(FILE)
    keys = KeyStore(parse_keys(path, FILE))
    with live_server(documents=folder, keys=keys) as live:
        live.state.key_file = KeyFile(path, keys)
        live.state.language_models["other"] = live.state.language_models["fake"]
        yield live


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SILLAR_CACHE", str(tmp_path))


def settings(open_tab: Open, live: Live, key: str, **options: Any) -> Any:
    tab = open_tab(f"{live.url}/#key={key}", **options)
    tab.goto(f"{live.url}/#settings")
    tab.wait_for_selector("dl")
    return tab


def test_a_key_is_made_shown_once_and_revoked(open_tab: Open, live: Live) -> None:
    tab = settings(open_tab, live, BOSS)
    tab.get_by_role("button", name="New key").wait_for()
    assert {"New key", "Revoke: reader", "Answers come from", "Access key", "Save"} <= set(walk(tab))
    tab.get_by_role("button", name="New key").click()
    assert tab.evaluate("document.activeElement.id") == "key-name"
    tab.get_by_label("Whose key is it?").fill("<b>leo</b>".replace("/", ""))
    tab.get_by_role("button", name="Make the key").click()
    secret = tab.locator("#secret").input_value()
    tab.get_by_role("button", name="Close").click()
    row = tab.locator("#keys tr", has_text="acme/<b>leo<b>")
    row.wait_for()
    assert secret not in tab.content()
    headers = {"Authorization": f"Bearer {secret}"}
    assert httpx.get(f"{live.url}/v1/models", headers=headers).status_code == 200
    tab.evaluate("window.confirm = () => true")
    row.get_by_role("button", name="Revoke").click()
    row.wait_for(state="detached")
    assert httpx.get(f"{live.url}/v1/models", headers=headers).status_code == 401
    tab.get_by_label("Answers come from").select_option("other")
    tab.get_by_text("Saved.").wait_for()
    assert live.state.answering == {"acme": "other"}


def test_a_key_that_is_no_administrator_s_sees_no_keys_and_no_machine(open_tab: Open, live: Live) -> None:
    tab = settings(open_tab, live, READER)
    tab.get_by_text("fake-embedder").wait_for()
    tab.get_by_label("Access key").wait_for()  # is there when all the rest is
    assert tab.locator("#keys").count() == 0
    assert "Free memory" not in tab.inner_text("main")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_settings_are_accessible_fit_a_phone_and_speak_spanish(
    open_tab: Open, live: Live, scheme: str
) -> None:
    size = {"width": 360, "height": 700}
    tab = settings(open_tab, live, BOSS, color_scheme=scheme, bypass_csp=True, viewport=size, locale="es-ES")
    tab.get_by_role("button", name="Clave nueva").wait_for()
    assert tab.evaluate("document.documentElement.scrollWidth") <= 360
    found = serious(tab)
    tab.get_by_role("button", name="Clave nueva").click()
    tab.get_by_label("¿De quién es la clave?").wait_for()
    assert found + serious(tab) == []
