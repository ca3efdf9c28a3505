"""The text of a PDF page from pdfium: lines as its content has them, and single words with their boxes."""

from __future__ import annotations

import ctypes
from typing import Any

import pypdfium2.raw as pdfium

from sillar.documents.ingest.pdf_columns import Word
from sillar.documents.ingest.pdf_layout import Line

_BREAKS = (10, 13)


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
        box = pdfium.FS_RECTF()
        start = -1
        for index, code in enumerate([*self._codes, 32]):
            if code > 32 and code != 0xA0:
                start = index if start < 0 else start
            elif start >= 0:
                left, bottom, top = _edges(self._raw, start, box)
                right = box.right
                if index - 1 > start:
                    _edges(self._raw, index - 1, box)
                    right = max(right, box.right)
                if right > left and top > bottom:
                    weight = max(0, pdfium.FPDFText_GetFontWeight(self._raw, start))
                    words.append(Word(_to_text(self._codes[start:index]), (left, bottom, right, top), weight))
                start = -1
        return words


def _edges(raw: Any, index: int, box: Any) -> tuple[float, float, float]:
    """Left, bottom and top of a character; all 0 where it has no place."""
    if not pdfium.FPDFText_GetLooseCharBox(raw, index, ctypes.byref(box)):
        box.left = box.right = box.bottom = box.top = 0.0
    return box.left, min(box.bottom, box.top), max(box.bottom, box.top)


def _to_text(codes: list[int]) -> str:
    units = b"".join(
        code.to_bytes(2, "little") if code < 0x10000 else chr(code).encode("utf-16-le") for code in codes
    )
    return units.decode("utf-16-le", errors="replace")


def _visible(codes: list[int], start: int, end: int) -> list[int]:
    return [index for index in range(start, end) if codes[index] > 32 and codes[index] != 0xA0] or [start]


def _line(raw: Any, visible: list[int], text: str, page: int, height: float) -> Line:
    """A line with the box and font size of its first, middle and last visible characters."""
    left = bottom = 1e9
    right = top = -1e9
    sizes = []
    box = pdfium.FS_RECTF()
    for index in {visible[0], visible[len(visible) // 2], visible[-1]}:
        if not pdfium.FPDFText_GetLooseCharBox(raw, index, ctypes.byref(box)):
            continue
        sizes.append(abs(box.top - box.bottom))
        left, right = min(left, box.left), max(right, box.right)
        bottom, top = min(bottom, box.bottom, box.top), max(top, box.top, box.bottom)
    if not sizes:
        return Line(text, page, 0.0, 0, (0.0, 0.0, 0.0, 0.0), height)
    weight = max(0, pdfium.FPDFText_GetFontWeight(raw, visible[0]))
    return Line(text, page, round(sorted(sizes)[len(sizes) // 2], 1), weight,
                (round(left, 1), round(bottom, 1), round(right, 1), round(top, 1)), height)  # fmt: skip
