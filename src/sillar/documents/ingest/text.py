"""Plain text into blocks: paragraphs between blank lines, underlined or numbered headings, list items,
indented code.
"""

from __future__ import annotations

import re

from sillar.documents.document import Document, DocumentBuilder
from sillar.documents.ingest.detect import decode

_UNDERLINE = re.compile(r"^([=\-~^*#+\"'`])\1{2,}\s*$")
_NUMBERED = re.compile(r"^(\d+(?:\.\d+){0,4})\.?\s+[A-ZÁÉÍÓÚÑ¿¡].{0,90}[^.,;:]$")
_ITEM = re.compile(r"^\s*(?:[-*•+]|\d{1,3}[.)])\s+")
_MAX_PARAGRAPH_LINES = 400


def parse_text(data: bytes) -> Document:
    """Blocks with line ranges. Raises DocumentError when the bytes are no text."""
    builder = DocumentBuilder("text/plain")
    levels: dict[str, int] = {}
    group: list[str] = []
    first = 1
    lines = decode(data).split("\n")
    for number, line in enumerate([*lines, ""], 1):
        if line.strip() and len(group) < _MAX_PARAGRAPH_LINES:
            if not group:
                first = number
            group.append(line.expandtabs(4).rstrip())
            continue
        if group:
            _add_group(builder, group, first, levels)
        group = [line.expandtabs(4).rstrip()] if line.strip() else []
        first = number
    return builder.build()


def _add_group(builder: DocumentBuilder, group: list[str], first: int, levels: dict[str, int]) -> None:
    """One run of lines without a blank line between them."""
    if len(group) == 3 and _UNDERLINE.match(group[0]) and _UNDERLINE.match(group[2]):
        group, first = group[1:], first + 1
    if len(group) >= 2 and _UNDERLINE.match(group[1]) and len(group[0]) <= 120:
        level = levels.setdefault(group[1][0], len(levels) + 1)
        builder.add("heading", group[0], level=min(level, 6), lines=(first, first + 1))
        group, first = group[2:], first + 2
    elif len(group) == 1 and (level := _heading_level(group[0])):
        builder.add("heading", group[0], level=level, lines=(first, first))
        return
    if not group:
        return
    last = first + len(group) - 1
    if all(line.startswith("    ") for line in group) and not _ITEM.match(group[0]):
        builder.add("code", "\n".join(group), lines=(first, last))
    elif _ITEM.match(group[0]):
        _add_items(builder, group, first)
    else:
        builder.add("paragraph", " ".join(" ".join(group).split()), lines=(first, last))


def _add_items(builder: DocumentBuilder, group: list[str], first: int) -> None:
    start = 0
    for index in range(1, len(group) + 1):
        if index == len(group) or _ITEM.match(group[index]):
            item = " ".join(" ".join(group[start:index]).split())
            builder.add("list", item, lines=(first + start, first + index - 1))
            start = index


def _heading_level(line: str) -> int:
    """1..6 for a line that stands alone and looks like a heading, else 0."""
    text = line.strip()
    if match := _NUMBERED.match(text):
        return min(6, match.group(1).count(".") + 1)
    letters = [c for c in text if c.isalpha()]
    return (
        1 if 3 <= len(letters) <= 80 and len(text) <= 80 and text.isupper() and len(text.split()) <= 12 else 0
    )
