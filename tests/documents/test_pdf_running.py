"""Running headers and footers of PDFs, where each section has its own; and what only looks like them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.documents.pdf_maker import make_pdf
from tests.documents.test_formats import read

SECTIONS = ["Pumps", "Pumps", "Pumps", "Valves", "Pipes", "Tanks"]
BODY = [
    "The text of this page begins here and",
    "goes on for a second line and for a third",
    "until it ends.",
]


def pages_of(heads: Sequence[Any], feet: Sequence[Any]) -> list[list[Any]]:
    body = [(10, 700 - 12 * n, text) for n, text in enumerate(BODY)]
    return [[*above, *body, *below] for above, below in zip(heads, feet, strict=True)]


def text_of(pages: list[list[Any]]) -> str:
    return read("a.pdf", make_pdf(pages)).text


def test_each_sections_own_header_is_left_out_and_so_is_a_footer_of_two_lines() -> None:
    heads = [[(10, 800, f"Chapter {n}: {name}")] for n, name in enumerate(SECTIONS)]
    feet = [[(10, 40, f"{name} of the manual {n}")] for n, name in enumerate(SECTIONS)]
    feet[4] = [(10, 40, "Pipes whose name is long of the"), (10, 28, "manual 4")]
    text = text_of(pages_of(heads, feet))
    assert all(name not in text for name in {*SECTIONS, "manual"})
    assert text.count("begins here") == len(SECTIONS)


def test_titles_of_slides_and_text_that_reaches_into_the_margin_stay() -> None:
    titles = [[(18, 800, title)] for title in ("Agenda", "Agenda", "Agenda", "Pumps", "Valves", "Pipes")]
    feet = [[(10, 40, f"The company {n}")] for n in range(6)]
    feet[3] = [
        (9, 62, "1. A note that is long and takes more"),
        (9, 51, "than two lines at"),
        (9, 40, "the foot."),
    ]
    text = text_of(pages_of(titles, feet))
    assert all(name in text for name in ("Pumps", "Valves", "Pipes", "than two lines at the foot."))
    assert "company" not in text


def test_without_anything_that_repeats_the_first_lines_stay() -> None:
    heads = [
        [(10, 800, f"{name} are described on this page")] for name in ("Pumps", "Tanks", "Pipes", "Taps")
    ]
    text = text_of(pages_of(heads, [[]] * 4))
    assert all(name in text for name in ("Pumps", "Tanks", "Pipes", "Taps"))
