"""Writes a converted model as a GGUF: whole or not at all, with its progress told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import gguf

from sillar.hub.cache import Progress, ProgressEvent, atomic_file


@contextmanager
def encoder_file(target: Path, nbytes: int, progress: Progress) -> Iterator[gguf.GGUFWriter]:
    """A writer for an encoder's metadata and tensors of `nbytes`; `target` appears once all is written."""
    progress(ProgressEvent("convert", 0, nbytes))
    with atomic_file(target) as temporary:
        writer = gguf.GGUFWriter(temporary, "bert")
        try:
            yield writer
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_tensors_to_file()
        finally:
            writer.close()
    progress(ProgressEvent("convert", nbytes, nbytes))
