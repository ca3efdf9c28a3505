"""Bookmarks name headings, also those that take several lines or are written with other quotes."""

from __future__ import annotations

import pytest

from sillar.documents.ingest.pdf_bookmarks import fold, heading_levels
from sillar.documents.ingest.pdf_lines import Line


def levels(texts: list[str], *titles: str, page: int = 0) -> list[int]:
    lines = [
        Line(text, 0, 10, 400, (72, 700 - 12 * n, 500, 710 - 12 * n), 842) for n, text in enumerate(texts)
    ]
    found = heading_levels(lines, {(page, fold(title)): depth for depth, title in enumerate(titles, 1)})
    return [found.get(n, 0) for n in range(len(texts))]


@pytest.mark.parametrize(
    ("lines", "title"),
    [
        (["2.6 Can one install it from a remote", "site?"], "Can one install it from a remote site?"),
        (["Why are there sym\x02links for \xa0\u0300frozen\u2019", "and \u201cstable\u201d?"],
         "Why are there symlinks for `frozen' and \"stable\"?"),
        (["Chapter 3", "On choosing"], "Chapter 3 On choosing"),
        (["A.2 Moving, orphan-", "ing and removing", "packages"], "Moving, orphaning and removing packages"),
    ],
)  # fmt: skip
def test_a_heading_of_several_lines(lines: list[str], title: str) -> None:
    assert levels([*lines, "Text."], title) == [1] * len(lines) + [0]


def test_the_longest_title_counts_and_others_stay_text() -> None:
    lines = ["Install", "Install", "from disk", "from disk, as ever", "Remove"]
    assert levels(lines, "Install", "Install from disk") == [1, 2, 2, 0, 0]
    assert levels(["Install"], "Install", page=1) == [0]
    assert levels(["Install from"], "Install from disk") == [0]
