"""Text of a page's picture: tesseract where it is installed, else RapidOCR (the extra `ocr`). Runs in
the parsers' child process.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from sillar.documents.document import Box
from sillar.errors import DocumentError

HOW_TO_INSTALL = "install tesseract or Sillar's extra: pip install 'sillar[ocr]'"
_LANGUAGES = ("eng", "spa")
_TESSERACT_DPI = 300
_RAPID_DPI = 144
_MAX_PIXELS = 16_000_000
_PAGE_SECONDS = 120
_LEAST_CONFIDENCE = 30.0

Recognised = list[tuple[str, Box]]
"""Lines of text from top to bottom, each with its box in points."""


def available() -> str:
    """The program that would be used: "tesseract", "rapidocr", or "" for none."""
    if shutil.which("tesseract"):
        return "tesseract"
    return "rapidocr" if importlib.util.find_spec("rapidocr_onnxruntime") else ""


def recognise(page: Any) -> Recognised:
    """The lines of a pdfium page. DocumentError when there is no program for it, or it fails."""
    name = available()
    if not name:
        raise DocumentError(f"It would need OCR: {HOW_TO_INSTALL}.", "needs_ocr")
    width, height = page.get_size()
    dpi = _TESSERACT_DPI if name == "tesseract" else _RAPID_DPI
    scale = min(dpi / 72, (_MAX_PIXELS / max(1.0, width * height)) ** 0.5)
    picture = page.render(scale=scale, grayscale=name == "tesseract").to_numpy()
    lines = _tesseract(picture) if name == "tesseract" else _rapid(picture)
    # From pixels below the top to points above the bottom.
    return [(text, (round(left / scale, 1), round(height - bottom / scale, 1),
                    round(right / scale, 1), round(height - top / scale, 1)))
            for text, (left, top, right, bottom) in lines]  # fmt: skip


def _tesseract(picture: Any) -> Recognised:
    """Lines by tesseract, the picture as a PGM on its stdin."""
    data = b"P5 %d %d 255\n" % (picture.shape[1], picture.shape[0]) + picture.tobytes()
    command = [
        "tesseract",
        "stdin",
        "stdout",
        "-l",
        _tesseract_languages(),
        "--dpi",
        str(_TESSERACT_DPI),
        "tsv",
    ]
    # One thread: its own do more waiting than work.
    environment = {**os.environ, "OMP_THREAD_LIMIT": "1"}
    try:
        done = subprocess.run(command, input=data, capture_output=True, check=True, timeout=_PAGE_SECONDS,
                              env=environment)  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        raise DocumentError(f"OCR failed ({type(error).__name__}).", "needs_ocr") from None
    return _lines(done.stdout.decode("utf-8", "replace").splitlines()[1:])


@cache
def _tesseract_languages() -> str:
    try:
        done = subprocess.run(["tesseract", "--list-langs"], capture_output=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return _LANGUAGES[0]
    there = done.stdout.decode("utf-8", "replace").split()
    return "+".join(name for name in _LANGUAGES if name in there) or _LANGUAGES[0]


def _lines(rows: Iterable[str]) -> Recognised:
    """Words of tesseract's TSV joined to lines; words that it is unsure of are left out."""
    lines: dict[tuple[str, ...], tuple[list[str], list[float]]] = {}
    for row in rows:
        cells = row.split("\t")
        if (
            len(cells) < 12
            or cells[0] != "5"
            or not cells[11].strip()
            or float(cells[10]) < _LEAST_CONFIDENCE
        ):
            continue
        left, top, width, height = map(float, cells[6:10])
        texts, box = lines.setdefault(tuple(cells[1:5]), ([], [left, top, left, top]))
        texts.append(cells[11])
        box[:] = [min(box[0], left), min(box[1], top), max(box[2], left + width), max(box[3], top + height)]
    return [(" ".join(texts), (box[0], box[1], box[2], box[3])) for texts, box in lines.values()]


def _rapid(picture: Any) -> Recognised:
    found, _ = _rapid_engine()(picture, use_cls=False)
    return [(text, _bounds(corners)) for corners, text, _ in found or ()]


def _bounds(corners: Sequence[Sequence[float]]) -> Box:
    xs, ys = [corner[0] for corner in corners], [corner[1] for corner in corners]
    return min(xs), min(ys), max(xs), max(ys)


@cache
def _rapid_engine() -> Any:
    module = importlib.import_module("rapidocr_onnxruntime")
    return module.RapidOCR(intra_op_num_threads=os.cpu_count() or 1)
