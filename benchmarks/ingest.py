"""Indexing a folder with Sillar's encoder and with ONNX Runtime's int8 one, in turns in one run.

    python -m benchmarks.ingest [FOLDER] [--repeats 3]

The same model file on both sides (bge-small-en-v1.5, 12 layers of 384, int8), and Sillar's default embedder
of the same size (multilingual-e5-small, 4 bits). "pipeline": parse, chunk, tokenise, embed and store, all but
tokenising and embedding being Sillar's own on both sides; "embedding": tokenise and embed the same chunks.
The default folder is Python's FAQs (HTML), from Debian's package python3.11-doc.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks import machine
from benchmarks.peer_environment import packaged_python
from benchmarks.worker import Worker
from evaluations.corpora import Part, fetch
from sillar import hub
from sillar.documents.chunk import chunk_document
from sillar.documents.index import Index
from sillar.documents.ingest.parser import FileParser
from sillar.documents.interfaces import TextEmbedder
from sillar.engine.loading import load_embedder
from sillar.engine.native import NativeOptions

SAME = "bge-small-en-v1.5"
PEER = "onnxruntime"
PEER_BY_32 = "onnxruntime, 32 texts a call"
"""Of similar length, as sentence-transformers does it unless told otherwise; PEER takes what is fastest."""
CORPUS = (Part("python3.11-doc", "usr/share/doc/python3.11/html/faq/*.html", "faq"),)


class OnnxRuntime:
    """ONNX Runtime in a process and an environment of its own, as an embedder of ours."""

    dim = 384
    fingerprint = "onnxruntime"

    def __init__(self, worker: Worker, model: Path, threads: int, folder: Path, batch: int = 0) -> None:
        """`batch`: texts a call, 0 for the fastest number that tune() finds."""
        self._worker = worker
        self._batch = batch
        self._path = str(folder / "vectors.npy")
        vocabulary = model.with_name("vocab.txt")
        self.about: dict[str, Any] = worker.call(
            "load", model=str(model), vocabulary=str(vocabulary), threads=threads
        )

    def tune(self, texts: Sequence[str]) -> None:
        """Lets it find its fastest batch with these texts."""
        self.about["batch_seconds"] = self._worker.call("tune", texts=list(texts))

    async def embed(self, texts: Sequence[str], kind: Literal["query", "passage"]) -> NDArray[np.float32]:
        assert kind == "passage"
        request = {"texts": list(texts), "path": self._path, "batch": self._batch}
        await asyncio.to_thread(partial(self._worker.call, "embed", **request))
        vectors: NDArray[np.float32] = np.load(self._path)
        return vectors


async def chunks_of(files: Sequence[Path]) -> list[str]:
    """The texts that an index of these files embeds."""
    texts = []
    async with FileParser() as parser:
        for path in files:
            document = (await parser.parse(path)).document
            texts += [chunk.contextual(document.title) for chunk in chunk_document(document)]
    return texts


async def index(folder: Path, embedder: TextEmbedder) -> None:
    """The whole way of a folder into a new index."""
    with tempfile.TemporaryDirectory() as place:
        async with Index.open(Path(place, "index.db"), embedder) as opened:
            report = await opened.add_folder(folder)
    assert report.chunks, "an empty folder"


def in_turns(
    subjects: Mapping[str, TextEmbedder],
    run: Callable[[TextEmbedder], Coroutine[Any, Any, Any]],
    repeats: int,
) -> dict[str, list[float]]:
    """Seconds of each subject, taken in turns."""
    seconds: dict[str, list[float]] = {name: [] for name in subjects}
    for _ in range(repeats):
        for name, embedder in subjects.items():
            begin = time.perf_counter()
            asyncio.run(run(embedder))
            seconds[name].append(time.perf_counter() - begin)
    return seconds


def row(seconds: Mapping[str, Sequence[float]], chunks: int) -> dict[str, dict[str, float]]:
    """Chunks a second of each subject, and its ratio to ONNX Runtime: the median over the rounds."""
    figures = {}
    for name, values in seconds.items():
        ratios = [theirs / ours for ours, theirs in zip(values, seconds[PEER], strict=True)]
        rates = machine.summarize([chunks / value for value in values])
        figures[name] = {**rates, "ratio": statistics.median(ratios)}
    return figures


def likeness(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> float:
    """The least cosine between the vectors of the same texts: the same model does the same work."""
    return float((ours * theirs).sum(axis=1).min())


def measure(folder: Path, subjects: Mapping[str, Any], texts: list[str], repeats: int) -> dict[str, Any]:
    subjects[PEER].tune(texts[:: max(1, len(texts) // 64)])
    some = texts[:64]
    vectors = {name: asyncio.run(embedder.embed(some, "passage")) for name, embedder in subjects.items()}
    result: dict[str, Any] = {
        "chunks": len(texts),
        "words": sum(len(text.split()) for text in texts) / len(texts),
        "least_cosine": likeness(vectors[SAME], vectors[PEER]),
    }
    runs = {
        "pipeline": lambda embedder: index(folder, embedder),
        "embedding": lambda embedder: embedder.embed(texts, "passage"),
    }
    for name, run in runs.items():
        result[name] = row(in_turns(subjects, run, repeats), len(texts))
        for subject, figures in result[name].items():
            machine.log(f"{name}, {subject}: {figures['median']:.1f} chunks/s, ratio {figures['ratio']:.2f}")
    return result


def table(result: Mapping[str, Any]) -> str:
    lines = ["| | chunks/s | ratio to ONNX Runtime |", "|---|---|---|"]
    for name in ("pipeline", "embedding"):
        for subject, figures in result[name].items():
            rate = f"{figures['median']:.1f} ±{figures['spread']:.0%}"
            lines.append(f"| {name}, {subject} | {rate} | {figures['ratio']:.2f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, help="English documents")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = arguments.folder
        if folder is None:
            folder = Path(place, "corpus")
            fetch(CORPUS, folder)
        same = hub.resolve(SAME)
        options = NativeOptions(threads=arguments.threads)
        with Worker(packaged_python("onnxruntime"), "benchmarks.peer_onnxruntime") as worker:
            by_32, peer = (
                OnnxRuntime(worker, same.with_name("model.onnx"), arguments.threads, Path(place), batch)
                for batch in (32, 0)
            )
            subjects = {
                hub.DEFAULT_EMBEDDER: load_embedder(hub.resolve(hub.DEFAULT_EMBEDDER), options),
                SAME: load_embedder(same, options),
                PEER: peer,
                PEER_BY_32: by_32,
            }
            files = sorted(path for path in folder.rglob("*") if path.is_file())
            texts = asyncio.run(chunks_of(files))
            result = measure(folder, subjects, texts, arguments.repeats)
    print(table(result))
    machine.emit("ingest", {"peer": peer.about, **result})


if __name__ == "__main__":
    main()
