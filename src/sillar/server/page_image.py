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
_MARK = (255, 227, 155)


async def page_png(path: Path, page: int, quote: str = "") -> bytes:
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
    return image


def _main() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    path, number = Path(sys.argv[1]), int(sys.argv[2])
    quote = sys.stdin.buffer.read(200_000).decode("utf-8", "replace")
    sys.stdout.buffer.write(_draw(path, number, quote))


def _draw(path: Path, number: int, quote: str) -> bytes:
    import pypdfium2 as pdfium  # noqa: PLC0415 - only the child needs it

    page = pdfium.PdfDocument(path)[number - 1]
    width, height = page.get_size()
    scale = min(2.0, _MAX_PIXELS / max(width, height, 1.0))
    image = page.render(scale=scale, rev_byteorder=True, prefer_bgrx=False).to_numpy()[:, :, :3].copy()
    for left, bottom, right, top in _boxes(page, quote):
        rows = slice(max(0, int((height - top) * scale)), max(0, int((height - bottom) * scale)))
        columns = slice(max(0, int(left * scale)), max(0, int(right * scale)))
        _multiply(image[rows, columns])
    return _png(image)


def _boxes(page: Any, quote: str) -> list[tuple[float, float, float, float]]:
    """Where the quote's words stand in a row, whatever the line breaks between them."""
    text = page.get_textpage()
    searcher = text.search(" ".join(quote.split())[:1000]) if quote.strip() else None
    found = searcher.get_next() if searcher is not None else None
    if found is None:
        return []
    return [text.get_rect(i) for i in range(text.count_rects(*found))]


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
