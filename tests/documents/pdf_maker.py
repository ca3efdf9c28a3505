"""Writes small PDFs: pages of lines of (font size, height above the bottom, text, and maybe the left
edge).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def make_pdf(
    pages: Sequence[Sequence[Any]],
    rules: Sequence[tuple[int, int, int, int]] = (),
    font: str = "Helvetica",
) -> bytes:
    """A PDF with text on pages of A4; `rules`: lines drawn on each (from x, y to x, y)."""
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"",
        f"<< /Type /Font /Subtype /Type1 /BaseFont /{font} >>".encode(),
    ]
    kids = []
    for lines in pages:
        drawn = "".join(f"{a} {b} m {c} {d} l S\n" for a, b, c, d in rules)
        for size, y, text, *left in lines:
            drawn += f"BT /F1 {size} Tf {(left or [72])[0]} {y} Td ({text}) Tj ET\n"
        content = drawn.encode()
        objects.append(b"<< /Length %d >>\nstream\n%sendstream" % (len(content), content))
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents %d 0 R"
            b" /Resources << /Font << /F1 3 0 R >> >> >>" % len(objects)
        )
        kids.append(b"%d 0 R" % len(objects))
    objects[1] = b"<< /Type /Pages /Count %d /Kids [%s] >>" % (len(kids), b" ".join(kids))
    out = bytearray(b"%PDF-1.4\n")
    places = []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(out)
