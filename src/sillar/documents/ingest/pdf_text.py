"""The text of a PDF page from pdfium: lines as its content has them, and single words with their boxes."""

from __future__ import annotations

import ctypes
from typing import Any

import pypdfium2.raw as pdfium

from sillar.documents.document import Box
from sillar.documents.ingest.pdf_columns import Word
from sillar.documents.ingest.pdf_lines import Line

_BREAKS = (10, 13)
_NOWHERE: Box = (0.0, 0.0, 0.0, 0.0)


class PageText:
    """One page's characters; `raw` is pdfium's handle of its text."""

    def __init__(self, raw: Any, number: int, height: float) -> None:
        get_unicode = pdfium.FPDFText_GetUnicode
        self._raw, self._number, self._height = raw, number, height
        self._codes = [get_unicode(raw, index) for index in range(max(0, pdfium.FPDFText_CountChars(raw)))]

    def lines(self) -> list[Line]:
        """The lines in the order of the page's content."""
        lines: list[Line] = []
        start = 0
        for index, code in enumerate([*self._codes, 10]):
            if code not in _BREAKS:
                continue
            if index > start:
                text = _to_text(self._codes[start:index])
                if text.strip():
                    visible = _visible(self._codes, start, index)
                    lines.append(_line(self._raw, visible, text, self._number, self._height))
            start = index + 1
        return lines

    def words(self) -> list[Word]:
        """The words in the order of the page's content; those of no height or width are left out."""
        words: list[Word] = []
        start = -1
        for index, code in enumerate([*self._codes, 32]):
            if _is_visible(code):
                start = index if start < 0 else start
            elif start >= 0:
                left, bottom, right, top = _char_box(self._raw, start) or _NOWHERE
                if index - 1 > start:
                    right = max(right, (_char_box(self._raw, index - 1) or _NOWHERE)[2])
                if right > left and top > bottom:
                    weight = max(0, pdfium.FPDFText_GetFontWeight(self._raw, start))
                    words.append(Word(_to_text(self._codes[start:index]), (left, bottom, right, top), weight))
                start = -1
        return words


def _char_box(raw: Any, index: int) -> Box | None:
    """A character's place, None where it has none."""
    box = pdfium.FS_RECTF()
    if not pdfium.FPDFText_GetLooseCharBox(raw, index, ctypes.byref(box)):
        return None
    return box.left, min(box.bottom, box.top), box.right, max(box.bottom, box.top)


def _is_visible(code: int) -> bool:
    return code > 32 and code != 0xA0


def _to_text(codes: list[int]) -> str:
    units = b"".join(
        code.to_bytes(2, "little") if code < 0x10000 else chr(code).encode("utf-16-le") for code in codes
    )
    return units.decode("utf-16-le", errors="replace")


def _visible(codes: list[int], start: int, end: int) -> list[int]:
    return [index for index in range(start, end) if _is_visible(codes[index])] or [start]


def _line(raw: Any, visible: list[int], text: str, page: int, height: float) -> Line:
    """A line with the box and font size of its first, middle and last visible characters."""
    found = [_char_box(raw, index) for index in {visible[0], visible[len(visible) // 2], visible[-1]}]
    boxes = [box for box in found if box is not None]
    if not boxes:
        return Line(text, page, 0.0, 0, _NOWHERE, height)
    sizes = sorted(box[3] - box[1] for box in boxes)
    left, bottom, right, top = zip(*boxes, strict=True)
    weight = max(0, pdfium.FPDFText_GetFontWeight(raw, visible[0]))
    whole = (round(min(left), 1), round(min(bottom), 1), round(max(right), 1), round(max(top), 1))
    return Line(text, page, round(sizes[len(sizes) // 2], 1), weight, whole, height)
