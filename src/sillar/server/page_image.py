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
    import numpy as np
    from numpy.typing import NDArray

_SECONDS = 15
_MEMORY = 2 << 30
_MAX_BYTES = 20 << 20
_MAX_PIXELS = 1400
_MAX_QUOTE = 4000
_MARK = (255, 227, 155)


@dataclass(frozen=True, slots=True)
class PageImage:
    """A page as a PNG. `top`: where the first mark begins, 0..1 from above; None where nothing is marked."""

    png: bytes
    top: float | None


async def draw_page(path: Path, page: int, quote: str = "") -> PageImage:
    """The picture. Raises DocumentError when the page cannot be drawn within its limits."""
    command = (sys.executable, "-m", "sillar.server.page_image", str(path), str(page))
    child = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL)
    try:
        async with asyncio.timeout(_SECONDS):
            image, _ = await child.communicate(quote.encode("utf-8", "replace"))
    except TimeoutError:
        raise DocumentError("Drawing this page takes too long.") from None
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode != 0 or not 0 < len(image) <= _MAX_BYTES:
        raise DocumentError("This page cannot be drawn.")
    top, _, png = image.partition(b"\n")
    return PageImage(png, float(top) if top else None)


def _main() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
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
        rows = slice(max(0, int((height - top) * scale)), max(0, int((height - bottom) * scale)))
        columns = slice(max(0, int(left * scale)), max(0, int(right * scale)))
        _multiply(image[rows, columns])
    first = f"{(height - boxes[0][3]) / height:.4f}" if boxes and height else ""
    return first.encode() + b"\n" + _png(image)


def _boxes(page: Any, quote: str) -> list[tuple[float, float, float, float]]:
    """Where the quote's words stand: (left, bottom, right, top) in points, a box a line."""
    text = page.get_textpage()
    words = quote[:_MAX_QUOTE].split()
    boxes: list[tuple[float, float, float, float]] = []
    start = 0  # words are found one run after the other, never before what was found last
    while words:
        found, taken = _longest_run(text, words, start, 1 if len(words) == 1 and not boxes else 2)
        if found is not None:
            boxes += [text.get_rect(i) for i in range(text.count_rects(*found))]
            start = found[0] + found[1]
        words = words[taken:]
    return boxes


def _longest_run(text: Any, words: list[str], start: int, least: int) -> tuple[tuple[int, int] | None, int]:
    """(position, length) of the first words as far as they stand in a row, and how many words that was.

    A page may hyphenate, or put a figure in between: then fewer words stand in a row than in the quote.
    One word alone stands anywhere, so `least` words have to.
    """
    many = len(words)
    while many >= least:
        found = text.search(" ".join(words[:many]), index=start).get_next()
        if found is not None:
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
