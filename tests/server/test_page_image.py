"""A page's picture: the quoted words are marked where they stand, also over a hyphen and between fonts."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest

from sillar.server.page_image import draw_page
from tests.documents.pdf_maker import make_pdf

MARK = bytes((255, 227, 155))
LINES = [(11, 700, "The parcel office lies in the gran-"), (11, 686, "ary, and it opens at nine sharp."),
         (11, 650, "Ask at the counter."), (11, 650, "It is red.", 176)]  # fmt: skip


def marked_lines(png: bytes, height: float = 842) -> set[int]:
    """Heights above the page's foot, in points, of the rows of pixels that hold the marker's colour."""
    width, rows = (int.from_bytes(png[at : at + 4], "big") for at in (16, 20))
    start = png.index(b"IDAT")
    data = zlib.decompress(png[start + 4 :])
    stride = 3 * width + 1
    return {round(height * (1 - row / rows)) for row in range(rows) if MARK in data[row * stride :][1:stride]}


@pytest.mark.parametrize(
    ("quote", "baselines"),
    [
        ("in the granary, and it opens", {700, 686}),
        ("Ask at the counter. It is red.", {650}),
        ("it opens (see below) at nine sharp.", {686}),
        ("There is no such sentence here.", set()),
    ],
)
async def test_the_quoted_words_are_marked(tmp_path: Path, quote: str, baselines: set[int]) -> None:
    (tmp_path / "a.pdf").write_bytes(make_pdf([LINES]))
    image = await draw_page(tmp_path / "a.pdf", 1, quote)
    found = marked_lines(image.png)
    assert {y for _, y, *_ in LINES if {y + 1, y + 2, y + 3} & found} == baselines
    if baselines:
        assert image.top == pytest.approx(1 - (max(baselines) + 8) / 842, abs=0.01)
        assert image.left == pytest.approx(72 / 595, abs=0.25)
    else:
        assert (image.top, image.left) == (None, None)
