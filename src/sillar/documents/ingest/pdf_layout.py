"""Lines of a PDF into headings and paragraphs: running headers dropped, hyphens joined, broken text layers
refused.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sillar.documents.document import Document, DocumentBuilder, Turn
from sillar.documents.ingest.pdf_bookmarks import Outline, heading_levels
from sillar.documents.ingest.pdf_contents import without_contents
from sillar.documents.ingest.pdf_lines import Line, is_within
from sillar.documents.ingest.pdf_running import find_running, without_running
from sillar.documents.ingest.pdf_tables import PdfTable
from sillar.documents.ingest.tables import looks_like_header, row_line
from sillar.documents.language import detect_language, is_stop_word, words
from sillar.errors import DocumentError

_HYPHENS = "-\xad\x02\ufffe\u2010"
_ITEM = re.compile(r"^\s*(?:[•◦▪‣∙●○·–*-]|\(?\d{1,3}[.)]|\(?[a-z][.)])\s+\S")
_NUMBERED = re.compile(r"^(?:chapter|capítulo|section|sección|appendix|apéndice|\d+(?:\.\d+)*)\b", re.I)


def place_tables(lines: Sequence[Line], tables: Sequence[PdfTable], page: int, height: float) -> list[Line]:
    """The lines of a page, those inside a table replaced by one that stands for it."""
    placed: list[Line] = []
    shown: set[int] = set()
    for line in lines:
        number = next((i for i, table in enumerate(tables) if is_within(line, table.box)), None)
        if number is None:
            placed.append(line)
        elif number not in shown:
            shown.add(number)
            table = tables[number]
            text = " ".join(
                join_lines(cell.split("\n")) for row in table.rows for cell in row if cell.strip()
            )
            bold = line.weight >= 600
            placed.append(Line(text, page, line.size, line.weight, table.box, height, table, bold))
    return placed


def has_wide_gaps(lines: Sequence[Line]) -> bool:
    """Whether three lines are much wider than their text, or side by side: columns, maybe of a table."""
    wide = sum(line.box[2] - line.box[0] > 0.6 * line.size * len(line.text) for line in lines)
    heights = Counter(round(line.box[1] / max(line.size, 1.0)) for line in lines)
    return wide >= 3 or sum(count - 1 for count in heights.values()) >= 3


def build_document(pages: Sequence[Sequence[Line]], outline: Outline, title: str) -> Document:
    """Blocks of all pages. Raises DocumentError when the text layer is broken."""
    text = " ".join(line.text for page in pages for line in page)
    if len(pages) > 1 and len(text) < 25 * len(pages):
        raise DocumentError(
            "It has hardly any text layer (a scan, or text as drawings?); it would need OCR.", "needs_ocr"
        )
    check_text_layer(text)
    running = find_running(pages, _body_size([line for page in pages for line in page]))
    kept = [line for page in pages for line in without_running(without_contents(page), running)]
    body = _body_size(kept)
    levels = _heading_sizes(kept, body)
    builder = DocumentBuilder("application/pdf", title, len(pages))
    group: list[Line] = []
    group_level = 0
    tables = _Tables(builder)
    bookmarked = heading_levels(kept, outline) if outline else None
    for number, line in enumerate(kept):
        if line.table is not None:
            _flush(builder, group, group_level)
            group = []
            tables.add(line, line.table)
            continue
        depth = None if bookmarked is None else bookmarked.get(number, 0)
        level = _level(line, depth, levels, body)
        if group and (level != group_level or _breaks(group, line, level)):
            _flush(builder, group, group_level)
            group = []
        group_level = level
        group.append(line)
    _flush(builder, group, group_level)
    return builder.build()


@dataclass(slots=True)
class _Tables:
    """Adds tables row by row; one that goes on over a page break keeps its header."""

    builder: DocumentBuilder
    header: Sequence[str] | None = None
    bold: bool = False
    """Whether that header is."""

    def add(self, line: Line, table: PdfTable) -> None:
        rows = [[join_lines(cell.splitlines()) if cell.strip() else "" for cell in row] for row in table.rows]
        boxes = list(table.boxes)
        if table.continues and self.header is not None and self._goes_on(rows[0], line):
            names = list(self.header) == rows[0]
        else:
            # Two columns are as often a name and its value: only bold type makes their first row a header.
            names = table.header if table.header is not None else (
                (line.bold_head or len(rows[0]) > 2) and looks_like_header(rows[0], rows[1:])
            )  # fmt: skip
            self.header, self.bold = rows[0] if names else None, line.bold_head
        if names:
            rows, boxes = rows[1:], boxes[1:]
        for row, box in zip(rows, boxes, strict=True):
            self.builder.add("table", row_line(row, self.header), page=line.page + 1, box=box)

    def _goes_on(self, first: Sequence[str], line: Line) -> bool:
        """Whether the first row on the new page is data, or the header again, and no other header."""
        return list(self.header or ()) == first or self.bold or not line.bold_head


def check_text_layer(text: str) -> None:
    """Raises DocumentError when the characters of a text layer do not make words (fonts without a usable
    map).
    """
    letters = [c for c in text[:60_000] if not c.isspace()]
    if len(letters) < 200:
        return
    strange = sum(1 for c in letters if unicodedata.category(c) in ("Co", "Cn", "Cc", "Cs") or c == "\ufffd")
    if strange > 0.12 * len(letters):
        raise DocumentError(
            "Its text layer is broken (characters without a meaning); it would need OCR.", "needs_ocr"
        )
    tokens = words(text[:60_000])
    latin = [token for token in tokens if token.isascii() and token.isalpha()]
    if len(latin) > 400 and len(latin) > 0.6 * len(tokens):
        common = sum(1 for token in latin if is_stop_word(token))
        if common < 0.02 * len(latin) and detect_language(text[:60_000], default="") in ("", "en", "es"):
            raise DocumentError(
                "Its text layer is broken (letters that make no words); it would need OCR.", "needs_ocr"
            )


def _body_size(lines: Sequence[Line]) -> float:
    sizes: Counter[float] = Counter()
    for line in lines:
        sizes[line.size] += len(line.text)
    return sizes.most_common(1)[0][0] if sizes else 0.0


def _heading_sizes(lines: Sequence[Line], body: float) -> dict[float, int]:
    """Level 1.. of each font size that is clearly larger than the body's and not much used."""
    amount: Counter[float] = Counter()
    for line in lines:
        amount[line.size] += len(line.text)
    total = sum(amount.values()) or 1
    large = sorted((s for s in amount if s > 1.12 * body and amount[s] < 0.3 * total), reverse=True)
    return {size: min(6, rank) for rank, size in enumerate(large, 1)}


def _level(line: Line, depth: int | None, levels: Mapping[float, int], body: float) -> int:
    """1..6 for a heading, else 0. `depth`: by the bookmarks, 0: it is none; None: there are none."""
    if len(line.text) > 160 or not any(c.isalpha() for c in line.text):
        return 0
    if depth is not None:
        return min(6, depth) if depth else levels.get(line.size, 0) if line.size > 1.5 * body else 0
    if line.size in levels:
        return levels[line.size]
    if line.weight >= 600 and line.size >= body and _NUMBERED.match(line.text) and len(line.text) < 100:
        return min(6, len(levels) + 1)
    return 0


def _breaks(group: Sequence[Line], line: Line, level: int) -> bool:
    """Whether `line` begins a new block after `group`."""
    last = group[-1]
    if level:
        return line.page != last.page or abs(last.box[1] - line.box[3]) > 1.2 * max(line.size, 1.0)
    if _ITEM.match(line.text):
        return True
    if abs(line.size - last.size) > 0.25 * max(line.size, 1.0):
        return True
    if line.page != last.page:
        return not _continues(last.text, line.text)
    gap = last.box[1] - line.box[3]
    if gap < -2 * max(line.size, 1.0):
        return not _continues(last.text, line.text)
    return gap > 0.55 * max(line.size, 1.0)


def _continues(before: str, after: str) -> bool:
    """Whether a paragraph goes on over a page or column break."""
    before, after = before.rstrip(), after.lstrip()
    return bool(before) and before[-1] not in ".!?:;" and after[:1].islower()


def _flush(builder: DocumentBuilder, group: Sequence[Line], level: int) -> None:
    if not group:
        return
    text = join_lines([line.text for line in group])
    first = group[0]
    same_page = [line.box for line in group if line.page == first.page]
    box = (min(b[0] for b in same_page), min(b[1] for b in same_page),
           max(b[2] for b in same_page), max(b[3] for b in same_page))  # fmt: skip
    kind = "heading" if level else "list" if _ITEM.match(first.text) else "paragraph"
    builder.add(kind, text, level=level, page=first.page + 1, turns=_turns(group), box=box)  # type: ignore[arg-type]


def _turns(group: Sequence[Line]) -> Iterator[Turn]:
    """Where the lines of a new page begin in the joined text, and that page."""
    texts = [line.text for line in group]
    for i in range(1, len(group)):
        if group[i].page != group[i - 1].page:
            yield len(join_lines(texts[: i + 1])) - len(join_lines(texts[i : i + 1])), group[i].page + 1


def join_lines(lines: Sequence[str]) -> str:
    """Lines of a paragraph as one: a word cut by a hyphen at a line's end is whole again."""
    out = ""
    for raw in lines:
        line = " ".join(raw.split()) if raw[-1:] not in _HYPHENS else " ".join(raw[:-1].split()) + raw[-1]
        if not out:
            out = line
        elif out[-1] in _HYPHENS and len(out) > 1 and out[-2].isalpha() and line[:1].islower():
            out = out[:-1] + line
        else:
            out = f"{out} {line}"
    return re.sub(r"[\xad\x02\ufffe]", "", unicodedata.normalize("NFC", out)).strip()
