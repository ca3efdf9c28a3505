"""A PDF's bookmarks: which of its lines are headings, also where a heading takes several lines."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence

from sillar.documents.ingest.pdf_lines import Line

Outline = Mapping[tuple[int, str], int]
"""(page from 0, folded title) -> depth, from 1."""
_NUMBER = re.compile(r"^(?:chapter|capítulo|appendix|apéndice)?(?:[a-z]\.)?[\d.]*")
"""The number before a folded title."""
_QUOTES = frozenset("'\"`´‘’‚“”„«»‹›-\xad\x02\ufffe\u2010\u2011")
"""What a page and its bookmark write differently: quotes, and hyphens at the end of a line."""
_MOST_LINES = 4


def fold(title: str) -> str:
    """A title without blanks, quotes, hyphens and case."""
    text = unicodedata.normalize("NFC", title).casefold()
    return "".join(c for c in text if not (c.isspace() or c in _QUOTES or unicodedata.combining(c)))


def heading_levels(lines: Sequence[Line], outline: Outline) -> dict[int, int]:
    """The depth of every line, by its number in `lines`, that is a bookmark's title or a part of one."""
    titles: dict[int, dict[str, int]] = defaultdict(dict)
    for (page, title), level in outline.items():
        if title:
            titles[page][title] = level
    found: dict[int, int] = {}
    for i, line in enumerate(lines):
        if i not in found and line.page in titles:
            for n, level in _title_from(lines, i, titles[line.page]):
                found[n] = level
    return found


def _title_from(lines: Sequence[Line], i: int, titles: Mapping[str, int]) -> list[tuple[int, int]]:
    """The lines from `i` on that make a title, each with its level; the longest title counts."""
    whole, best = "", list[tuple[int, int]]()
    for n, line in enumerate(lines[i : i + _MOST_LINES], i):
        if line.page != lines[i].page or line.table is not None:
            break
        whole += fold(line.text)
        bare = _NUMBER.sub("", whole)
        level = titles.get(whole) or titles.get(bare)
        if level:
            best = [(number, level) for number in range(i, n + 1)]
        if not any(title.startswith((whole, bare or whole)) for title in titles):
            break
    return best
