"""Takes the pictures of docs/images from a running server: `python -m scripts.screenshots http://127.0.0.1:8080`

Run it over the demo documents, with questions already asked, so that Insights has something to show.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

QUESTION = "What does the boot loader do when the system starts?"
SPANISH = "¿Qué es la cuenta de superusuario?"
MAX_BYTES = 200_000
DESKTOP, PHONE = {"width": 1100, "height": 720}, {"width": 390, "height": 760}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    parser.add_argument("--question", default=QUESTION)
    parser.add_argument("--spanish", default=SPANISH)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)

    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - a development dependency

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        camera = Camera(browser, arguments.url, arguments.out)
        camera.conversation("ask", arguments.question, DESKTOP, "light", "en-US")
        camera.conversation("phone", arguments.spanish, PHONE, "dark", "es-ES")
        camera.section("insights", DESKTOP, "dark", "en-US")
        browser.close()


class Camera:
    """Opens views and keeps their pictures."""

    def __init__(self, browser: Any, url: str, out: Path) -> None:
        self._browser = browser
        self._url = url
        self._out = out

    def conversation(self, name: str, question: str, size: dict[str, int], scheme: str, locale: str) -> None:
        """A question with its answer, and on a desktop its source too."""
        tab = self._open("", size, scheme, locale)
        tab.fill("#question", question)
        tab.press("#question", "Enter")
        tab.wait_for_selector("section .answer:not(.waiting)", timeout=120_000)
        self._keep(tab, name)
        if size is DESKTOP:
            tab.locator(".chip").first.click()
            tab.wait_for_selector("dialog .page img, dialog .passage:not([hidden])", timeout=60_000)
            self._keep(tab, "source")
        tab.context.close()

    def section(self, name: str, size: dict[str, int], scheme: str, locale: str) -> None:
        """One of the other sections."""
        tab = self._open(f"#{name}", size, scheme, locale)
        tab.wait_for_selector(".chart")
        self._keep(tab, name)
        tab.context.close()

    def _open(self, fragment: str, size: dict[str, int], scheme: str, locale: str) -> Any:
        context = self._browser.new_context(viewport=size, color_scheme=scheme, locale=locale)
        tab = context.new_page()
        tab.goto(f"{self._url}/{fragment}")
        tab.wait_for_selector("h1")
        return tab

    def _keep(self, tab: Any, name: str) -> None:
        path = self._out / f"{name}.png"
        picture = tab.screenshot(path=path, animations="disabled", caret="hide")
        print(f"{path}: {len(picture)} bytes")
        if len(picture) > MAX_BYTES:
            raise SystemExit(f"{path} is larger than {MAX_BYTES} bytes")


if __name__ == "__main__":
    main()
