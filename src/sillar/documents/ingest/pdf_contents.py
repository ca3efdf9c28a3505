"""Tables of contents of a PDF: their lines repeat every heading without its section, so they only hide the
sections from a search.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from sillar.documents.ingest.pdf_lines import Line

_ENTRY = re.compile(r"(?:\.{4,}|(?:\.\s){3,}).{0,3}?(\d{1,4}|[ivxlc]{1,6})$", re.I)
"""Leaders, then the number of a page; an accent that was set apart may stand between them."""
_NUMBERED = re.compile(r"\s(?:\d{1,4}|[ivxlc]{1,6})$", re.I)
_LEAST_ENTRIES = 4
_EDGE = 4.0
"""Points: how exactly the numbers end at one edge."""


def without_contents(lines: Sequence[Line]) -> list[Line]:
    """The lines of a page without a table of contents: what lies from its first entry to its last.

    The numbers of its pages never fall; those of a price list with leaders do, and it stays.
    """
    found = [(i, match[1]) for i, line in enumerate(lines) if (match := _ENTRY.search(line.text.rstrip()))]
    pages = [int(number) for _, number in found if number.isdecimal()]
    if len(found) < _LEAST_ENTRIES or any(a > b for a, b in pairwise(pages)) or len(set(pages)) == 1:
        return list(lines)
    first, last = found[0][0], found[-1][0]
    edges = sorted(lines[i].box[2] for i, _ in found)
    edge = edges[len(edges) // 2]

    def goes_on(i: int) -> bool:
        text = lines[i].text.rstrip()
        return _NUMBERED.search(text) is not None and abs(lines[i].box[2] - edge) <= _EDGE

    while first > 0 and goes_on(first - 1):
        first -= 1
    while last + 1 < len(lines) and goes_on(last + 1):
        last += 1
    return [*lines[:first], *lines[last + 1 :]]
