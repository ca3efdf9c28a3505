"""The converters by the names that the catalogue gives them: what they read, their version, how they run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sillar.hub import bert_onnx, convert
from sillar.hub.cache import Progress
from sillar.hub.catalogue import ModelEntry

VOCABULARY = "vocab.txt"
"""The name under which a model's vocabulary lies beside its file."""


@dataclass(frozen=True, slots=True)
class Converter:
    """Turns one kind of file into a GGUF. A new version converts what is kept anew."""

    version: int
    magic: bytes
    """The file's first bytes."""
    run: Callable[[ModelEntry, Path, Path, Progress], None]
    """Called with the entry, its file, the GGUF to write, and the progress."""


def _e5s1(entry: ModelEntry, source: Path, target: Path, progress: Progress) -> None:
    del entry
    convert.convert_e5s1(source, target, progress)


def _bert_onnx(entry: ModelEntry, source: Path, target: Path, progress: Progress) -> None:
    options = bert_onnx.BertOptions(entry.name, entry.heads, entry.query_prefix)
    bert_onnx.convert_bert_onnx(source, source.with_name(VOCABULARY), target, options, progress)


CONVERTERS = {
    "e5s1": Converter(convert.CONVERTER_VERSION, b"E5S1", _e5s1),
    # ONNX has no magic: its first field is the format's version, a varint.
    "bert-onnx": Converter(bert_onnx.CONVERTER_VERSION, b"\x08", _bert_onnx),
}
