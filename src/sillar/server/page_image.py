"""One page of a PDF as a PNG, drawn in a child process with limits, the quoted words marked.

Run as a module it is that child: `python -m sillar.server.page_image PATH PAGE`, the quote on stdin.
"""

from __future__ import annotations

import asyncio
import resource
import struct
import sys
import zlib
from asyncio.subprocess import DEVNULL, PIPE
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sillar.errors import DocumentError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

_CPU_SECONDS = 15
_WALL_SECONDS = 120
"""Only for a child that hangs without computing; generous, because the machine may be busy."""
_MEMORY = 2 << 30
_MAX_BYTES = 20 << 20
_MAX_PIXELS = 1400
_MAX_QUOTE = 4000
_BETWEEN = "-\xad\x00\x02\u2010\ufffe"
_BLANK = 2.0
"""Of a line's height: as wide may the blank between two marked words be."""
_MARK = (255, 227, 155)

_Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class PageImage:
    """A page as a PNG. `top`, `left`: where the first mark begins, as shares of the page's height and width;
    None where nothing is marked.
    """

    png: bytes
    top: float | None
    left: float | None = None


async def draw_page(path: Path, page: int, quote: str = "") -> PageImage:
    """The picture. Raises DocumentError when the page cannot be drawn within its limits."""
    command = (sys.executable, "-m", "sillar.server.page_image", str(path), str(page))
    child = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL)
    try:
        async with asyncio.timeout(_WALL_SECONDS):
            image, _ = await child.communicate(quote.encode("utf-8", "replace"))
    except TimeoutError:
        raise DocumentError("Drawing this page takes too long.") from None
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode != 0 or not 0 < len(image) <= _MAX_BYTES:
        raise DocumentError("This page cannot be drawn.")
    mark, _, png = image.partition(b"\n")
    top, left = map(float, mark.split()) if mark else (None, None)
    return PageImage(png, top, left)


def _main() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    path, number = Path(sys.argv[1]), int(sys.argv[2])
    quote = sys.stdin.buffer.read(200_000).decode("utf-8", "replace")
    sys.stdout.buffer.write(_draw(path, number, quote))


def _draw(path: Path, number: int, quote: str) -> bytes:
    """A line with the first mark's place, then the PNG."""
    import pypdfium2 as pdfium  # noqa: PLC0415 - only the child needs it

    page = pdfium.PdfDocument(path)[number - 1]
    width, height = page.get_size()
    scale = min(2.0, _MAX_PIXELS / max(width, height, 1.0))
    image = page.render(scale=scale, rev_byteorder=True, prefer_bgrx=False).to_numpy()[:, :, :3].copy()
    boxes = _boxes(page, quote)
    for left, bottom, right, top in boxes:
        rows = slice(max(0, int((height - top - 1) * scale)), max(0, int((height - bottom + 1) * scale)))
        columns = slice(max(0, int(left * scale)), max(0, int(right * scale)))
        _multiply(image[rows, columns])
    mark = f"{(height - boxes[0][3]) / height:.4f} {boxes[0][0] / width:.4f}" if boxes else ""
    return mark.encode() + b"\n" + _png(image)


def _boxes(page: Any, quote: str) -> list[_Box]:
    """Where the quote's words stand: (left, bottom, right, top) in points, a box a line."""
    from pypdfium2.raw import FPDFText_GetUnicode as get_unicode  # noqa: PLC0415 - only the child needs it

    text = page.get_textpage()
    letters = [chr(code) for code in (get_unicode(text.raw, i) for i in range(text.count_chars()))]
    places = [i for i, letter in enumerate(letters) if _shows(letter)]
    shown = "".join(letters[i] for i in places).casefold()
    if len(shown) != len(places):  # a letter that folds into two
        shown = "".join(letters[i] for i in places)
    words = ["".join(filter(_shows, word)).casefold() for word in quote[:_MAX_QUOTE].split()]
    words = list(filter(None, words))
    boxes: list[_Box] = []
    start = 0  # words are found one run after the other, never before what was found last
    while words:
        at, taken = _longest_run(shown, words, start, 1 if len(words) == 1 and not boxes else 2)
        if at is not None:
            start = at + sum(map(len, words[:taken]))
            first, last = places[at], places[start - 1]
            boxes += [text.get_rect(i) for i in range(text.count_rects(first, last - first + 1))]
        words = words[taken:]
    return _joined(boxes)


def _joined(boxes: Sequence[_Box]) -> list[_Box]:
    """Boxes of one line as one: a line has a box for each of its fonts, with the blanks left out."""
    lines: list[_Box] = []
    for left, bottom, right, top in boxes:
        if lines:
            before = lines[-1]
            overlap = min(top, before[3]) - max(bottom, before[1])
            height = min(top - bottom, before[3] - before[1])
            if overlap > 0.5 * height and -1 <= left - before[2] <= _BLANK * max(height, 5):
                lines[-1] = (before[0], min(bottom, before[1]), right, max(top, before[3]))
                continue
        lines.append((left, bottom, right, top))
    return lines


def _shows(letter: str) -> bool:
    """Whether it is to be compared: no blank, and no hyphen, which a line's end may have put there."""
    return not (letter.isspace() or letter in _BETWEEN)


def _longest_run(shown: str, words: list[str], start: int, least: int) -> tuple[int | None, int]:
    """Where the first words stand in a row, as far as they do, and how many words that was.

    A page may have a figure in between: then fewer words stand in a row than in the quote. One word alone
    stands anywhere, so `least` words have to, unless it follows at once.
    """
    many = len(words)
    while many >= 1:
        found = shown.find("".join(words[:many]), start)
        if found == start > 0 or (found >= 0 and many >= least):
            return found, many
        many //= 2
    return None, 1


def _multiply(area: NDArray[np.uint8]) -> None:
    """As a marker pen does: dark stays dark."""
    for channel, level in enumerate(_MARK):
        area[:, :, channel] = area[:, :, channel].astype("uint16") * level // 255


def _png(image: NDArray[np.uint8]) -> bytes:
    height, width, _ = image.shape
    lines = b"".join(b"\0" + image[row].tobytes() for row in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(lines, 6)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )


if __name__ == "__main__":
    _main()
