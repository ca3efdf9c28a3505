"""docs/api.md says what the code does."""

from __future__ import annotations

from pathlib import Path

from sillar.server.documentation import render


def test_the_page_is_the_code_s() -> None:
    page = Path(__file__).parents[2] / "docs" / "api.md"
    assert page.read_text("utf-8") == render(), "run: python -m sillar.server.documentation docs/api.md"
