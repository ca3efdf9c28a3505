"""The whole story: a PDF goes in, a question in Spanish gets its page, a vote, and a person to go on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from sillar.config import Config, HandOffConfig
from tests.documents.pdf_maker import make_pdf
from tests.server.live import Live, live_server
from tests.server.target import until
from tests.server.test_handoff import Desk, help_desk
from tests.web.conftest import HANDBOOK, Open, ask
from tests.web.test_accessibility import serious

GUARANTEE = "La garantia de los relojes dura veinticinco meses."


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Live, Desk]]:
    folder = tmp_path_factory.mktemp("docs")
    (folder / "handbook.md").write_text(HANDBOOK)
    with help_desk() as desk:
        config = Config(handoff=HandOffConfig(webhook=desk.url, secret="sixteen letters!"))
        with live_server(documents=folder, config=config) as live:
            yield live, desk


def test_from_a_pdf_to_a_person(open_tab: Open, places: tuple[Live, Desk]) -> None:
    live, desk = places
    tab = open_tab(f"{live.url}/#documents", locale="es-ES")
    tab.get_by_text("Suelte archivos aquí").wait_for()
    first = [(12, 700, "Envios"), (11, 660, "Los envios tardan dos dias laborables.")]
    second = [(18, 700, "Garantia"), (11, 660, GUARANTEE), (11, 640, "Guarde el recibo de la compra.")]
    drop(tab, "garantia.pdf", make_pdf([first, second]))
    tab.get_by_text("garantia.pdf").first.wait_for()
    row = tab.locator("tr", has_text="garantia.pdf")
    row.get_by_text("listo").wait_for()

    tab.click("nav >> text=Preguntar")
    ask(tab, "¿Cuántos meses dura la garantia de los relojes?")
    assert "veinticinco meses" in tab.inner_text(".answer")
    tab.click(".chip")
    tab.wait_for_selector("dialog .page img")
    assert "página 2" in tab.inner_text("dialog")
    assert marked(tab)
    tab.get_by_role("button", name="Texto").click()
    assert "veinticinco meses" in tab.inner_text("dialog mark")
    tab.keyboard.press("Escape")

    tab.get_by_role("button", name="No es útil").click()
    tab.get_by_label("¿Qué estaba mal?").fill("Falta el precio.")
    tab.get_by_role("button", name="Enviar comentario").click()
    tab.get_by_text("Gracias, anotado.").wait_for()
    tab.get_by_role("button", name="Pasar a una persona").click()
    tab.get_by_label("¿Cómo le localizamos?").fill("ana@example.org")
    tab.get_by_role("button", name="Enviar", exact=True).click()
    tab.get_by_text("Entregado.").wait_for()
    tab.click("nav >> text=Informes")
    tab.get_by_text("ana@example.org").wait_for()
    assert until(lambda: bool(desk.received))
    ticket = json.loads(desk.received[0][1])
    assert (ticket["vote"], ticket["comment"]) == (-1, "Falta el precio.")
    assert any(GUARANTEE in passage["text"] for passage in ticket["passages"])


def drop(tab: Any, name: str, content: bytes) -> None:
    """Drops a file onto the page as a person does."""
    files = tab.evaluate_handle(
        """([name, bytes]) => { const data = new DataTransfer();
          data.items.add(new File([new Uint8Array(bytes)], name)); return data; }""",
        [name, list(content)],
    )
    tab.dispatch_event(".drop", "drop", {"dataTransfer": files})


def marked(tab: Any) -> bool:
    """Whether the picture has the colour of the marker anywhere."""
    return bool(
        tab.evaluate(
            """async () => { const image = document.querySelector("dialog img");
              const canvas = document.createElement("canvas");
              [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
              const context = canvas.getContext("2d"); context.drawImage(image, 0, 0);
              const {data} = context.getImageData(0, 0, canvas.width, canvas.height);
              for (let i = 0; i < data.length; i += 4)
                if (data[i] === 255 && data[i + 1] === 227 && data[i + 2] === 155) return true;
              return false; }"""
        )
    )


def test_a_follow_up_is_sent_with_the_conversation(open_tab: Open, places: tuple[Live, Desk]) -> None:
    live, _ = places
    tab = open_tab(live.url)
    sent: list[Any] = []
    tab.on("request", lambda r: sent.append(r.post_data_json) if r.url.endswith("/v1/ask") else None)
    ask(tab, "Within how many days may goods be returned?")
    ask(tab, "And when do we open?")
    assert sent[0]["history"] == []
    assert [turn["role"] for turn in sent[1]["history"]] == ["user", "assistant"]
    assert "30 days" in sent[1]["history"][1]["content"]
    tab.get_by_role("button", name="New conversation").click()
    ask(tab, "When do we open?")
    assert sent[2]["history"] == []
    assert httpx.get(f"{live.url}/v1/suggestions").json()["data"]


def test_an_upload_goes_into_a_collection_and_the_list_shows_that_one_alone(
    open_tab: Open, places: tuple[Live, Desk]
) -> None:
    live, _ = places
    tab = open_tab(f"{live.url}/#documents")
    tab.get_by_text("handbook.md").first.wait_for()
    tab.get_by_label("Into the collection").fill("Pumps & valves")
    drop(tab, "pump.md", b"# Pump\n\nThe pump runs at forty bar.\n")
    tab.locator("tr", has_text="pump.md").get_by_text("Pumps & valves").wait_for()
    tab.get_by_label("Collection", exact=True).select_option("Pumps & valves")
    assert tab.locator("tbody tr").count() == 1
    tab.get_by_label("Collection", exact=True).select_option("everyone")
    assert tab.locator("tr", has_text="pump.md").count() == 0
    assert tab.locator("tr", has_text="handbook.md").count() == 1
    tab.get_by_label("Into the collection").fill("../etc")
    drop(tab, "pump.md", b"# Pump\n")
    tab.get_by_text("name has up to 60").wait_for()


def test_documents_open_from_their_list_page_by_page_and_section_by_section(
    open_tab: Open, places: tuple[Live, Desk]
) -> None:
    live, _ = places
    tab = open_tab(f"{live.url}/#documents", bypass_csp=True)
    drop(tab, "taps.pdf", make_pdf([[(11, 700, f"The text of sheet {n} is about taps.")] for n in (1, 2)]))
    tab.locator("tr", has_text="taps.pdf").locator("button.link").press("Enter")
    tab.wait_for_selector("dialog .page img[alt='page 1']")
    assert tab.get_by_role("button", name="Back").is_disabled()
    tab.get_by_role("button", name="Next").click()
    tab.wait_for_selector("dialog .page img[alt='page 2']")
    assert tab.get_by_role("button", name="Next").is_disabled()
    tab.get_by_role("button", name="Text", exact=True).click()
    tab.locator("dialog .passage", has_text="sheet 2").wait_for()
    tab.keyboard.press("Escape")
    tab.locator("tr", has_text="handbook.md").get_by_role("button", name="Returns").click()
    tab.locator("dialog .passage", has_text="within 30 days").wait_for()
    tab.get_by_label("Section", exact=True).select_option(label="Hours")
    tab.locator("dialog .passage", has_text="We open at nine").wait_for()
    assert serious(tab) == []


def test_a_quote_after_a_page_break_opens_where_it_stands(open_tab: Open, places: tuple[Live, Desk]) -> None:
    live, _ = places
    first = [
        (11, 700, "The lighthouse was painted by the crew of the harbour, who"),
        (11, 686, "came in spring"),
    ]
    second = [
        (11, 700, "and went in autumn. The lantern weighs ninety kilograms."),
        (11, 660, "Nothing follows."),
    ]
    tab = open_tab(f"{live.url}/#documents")
    drop(tab, "lantern.pdf", make_pdf([first, second]))
    tab.locator("tr", has_text="lantern.pdf").get_by_text("ready").wait_for()
    tab.click("nav >> text=Ask")
    ask(tab, "The lantern weighs how many kilograms, ninety kilograms?")
    assert "page 2" in tab.inner_text(".sources")
    tab.click(".chip")
    tab.wait_for_selector("dialog .page img[alt^='page 2: ']")
    assert marked(tab)
    assert "page 2 / 2" in tab.inner_text("dialog")
