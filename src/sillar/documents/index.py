"""The index of a user's documents: folders go in, passages come out. All calls are async; the store has
its own threads.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import platformdirs
from numpy.typing import NDArray

from sillar.documents.alignment import WordVectors
from sillar.documents.chunk import ChunkSize, chunk_document
from sillar.documents.document import Document, Passage
from sillar.documents.folder import FolderChanges, compare
from sillar.documents.ingest.limits import ParserLimits
from sillar.documents.ingest.parser import FileParser
from sillar.documents.interfaces import TextEmbedder
from sillar.documents.search import SearchOptions, search
from sillar.documents.store.protocol import EVERYTHING, Access, EmbeddedDocument, FileFacts, StoreCounts
from sillar.documents.store.sqlite import SqliteStore
from sillar.documents.store.vectors import VectorKernels
from sillar.errors import DocumentError

_BATCH_CHUNKS = 64
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class IndexProgress:
    """One step of indexing: `file` was just read, failed or stored."""

    done: int
    total: int
    file: str
    failed: str | None = None


@dataclass(slots=True)
class IndexReport:
    """What indexing a folder did."""

    read: int = 0
    unchanged: int = 0
    moved: int = 0
    deleted: int = 0
    chunks: int = 0
    seconds: float = 0.0
    failed: dict[str, str] | None = None
    """Path -> reason, of files that could not be read this time."""


Progress = Callable[[IndexProgress], None]


def default_index_path(folder: Path) -> Path:
    """Where the index of a folder is kept: in the user's data directory, keyed by the folder's real path."""
    real = os.path.realpath(folder)
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", os.path.basename(real))[:40] or "root"
    key = hashlib.sha256(os.fsencode(real)).hexdigest()[:12]
    return platformdirs.user_data_path("sillar") / "indexes" / f"{name}-{key}.db"


class Index:
    """Documents of one or more folders. Open with `Index.open`, close when done, or use `async with`."""

    def __init__(
        self, store: SqliteStore, embedder: TextEmbedder, options: SearchOptions | None = None
    ) -> None:
        self.store = store
        self.embedder = embedder
        self.options = options or SearchOptions()
        self.word_vectors = WordVectors(embedder)
        self._writing = ThreadPoolExecutor(1, "index-write")
        self._reading = ThreadPoolExecutor(1, "index-read")
        self._indexing = asyncio.Lock()

    @classmethod
    def open(
        cls,
        path: Path,
        embedder: TextEmbedder,
        *,
        rebuild: bool = False,
        kernels: VectorKernels | None = None,
        options: SearchOptions | None = None,
    ) -> Index:
        """Opens or makes the index file. DocumentError when it was made by another embedder; `rebuild`
        starts anew.
        """
        if rebuild:
            for suffix in ("", "-wal", "-shm"):
                Path(f"{path}{suffix}").unlink(missing_ok=True)
        return cls(SqliteStore(path, embedder.fingerprint, embedder.dim, kernels), embedder, options)

    async def __aenter__(self) -> Index:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Waits for running work and closes the store."""
        await asyncio.to_thread(self._writing.shutdown)
        await asyncio.to_thread(self._reading.shutdown)
        self.store.close()

    async def _write(self, function: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._writing, function, *arguments)

    async def read(self, function: Callable[..., T], *arguments: object) -> T:
        """Runs a reading call of the store on its thread."""
        return await asyncio.get_running_loop().run_in_executor(self._reading, function, *arguments)

    async def counts(self) -> StoreCounts:
        """How many documents, failed files and chunks there are."""
        return await self.read(self.store.counts)

    async def add_folder(
        self,
        folder: Path,
        progress: Progress | None = None,
        *,
        collection: str = "",
        limits: ParserLimits | None = None,
        retry_failed: bool = False,
    ) -> IndexReport:
        """Makes the index equal to the folder, touching only what changed. Raises DocumentError if it is
        no folder.

        Each document is committed whole or not at all; after an interruption the next call goes on where
        it ended.
        """
        root = await asyncio.to_thread(_real_folder, folder)
        started = time.monotonic()
        async with self._indexing:
            source = await self._write(self.store.source, root)
            known = await self._write(self.store.files, source)
            changes = await asyncio.to_thread(compare, root, known, retry_failed=retry_failed)
            await self._apply(source, changes)
            report = IndexReport(unchanged=changes.unchanged + len(changes.touched), moved=len(changes.moved),
                                 deleted=len(changes.deleted), failed={})  # fmt: skip
            facts = [replace(item, collection=collection) for item in changes.read]
            job = _FolderJob(self, root, source, report, progress, len(facts))
            await job.run(facts, limits)
        report.seconds = time.monotonic() - started
        return report

    async def _apply(self, source: int, changes: FolderChanges) -> None:
        """Deletions, moves and new times: no content changes."""
        if changes.deleted:
            await self._write(self.store.delete, changes.deleted)
        for document_id, facts in changes.moved:
            await self._write(self.store.move, document_id, facts)
        if changes.touched:
            await self._write(self.store.touch, source, changes.touched)

    async def add_documents(
        self,
        location: str,
        documents: Sequence[tuple[str, Document]],
        *,
        size: ChunkSize | None = None,
        collection: str = "",
    ) -> int:
        """Stores documents that did not come from files (`location` names their source); answers how many
        chunks.
        """
        source = await self._write(self.store.source, Path(location))
        chunks = 0
        pending: list[EmbeddedDocument] = []
        for name, document in documents:
            content = hashlib.sha256(document.text.encode("utf-8", "replace")).hexdigest()
            facts = FileFacts(name, len(document.text), 0, content, collection)
            pending.append(EmbeddedDocument(facts, document, chunk_document(document, size), None))
            if sum(len(item.chunks) for item in pending) >= _BATCH_CHUNKS:
                chunks += await self.store_batch(source, pending)
                pending = []
        return chunks + await self.store_batch(source, pending)

    async def store_batch(self, source: int, pending: Sequence[EmbeddedDocument]) -> int:
        """Embeds the chunks of some documents together and commits them in one transaction."""
        if not pending:
            return 0
        texts = [chunk.contextual(item.document.title if item.document else "")
                 for item in pending for chunk in item.chunks]  # fmt: skip
        vectors = np.zeros((0, self.embedder.dim), np.float32)
        if texts:
            vectors = await self.embedder.embed(texts, "passage")
        ready = []
        start = 0
        for item in pending:
            end = start + len(item.chunks)
            ready.append(replace(item, vectors=vectors[start:end]))
            start = end
        await self._write(self.store.put, source, ready)
        return len(texts)

    async def embed_question(self, question: str) -> NDArray[np.float32]:
        """The question's unit vector [dim], for what searches and scores with it."""
        vector: NDArray[np.float32] = (await self.embedder.embed([question], "query"))[0]
        return vector

    async def search(
        self,
        question: str,
        k: int = 10,
        access: Access = EVERYTHING,
        vector: NDArray[np.float32] | None = None,
    ) -> list[Passage]:
        """The k best passages for a question, best first. `vector`: the question's, where it is known."""
        if not question.strip() or k < 1:
            return []
        if vector is None:
            vector = await self.embed_question(question)
        find = partial(search, self.store, question, vector, k=k, access=access, options=self.options)
        return await self.read(find)


def _real_folder(folder: Path) -> Path:
    if not folder.is_dir():
        raise DocumentError(f"{folder} is not a folder.")
    return folder.resolve()


@dataclass(slots=True)
class _FolderJob:
    """Reads files one after another while the chunks of the ones before are embedded and stored."""

    index: Index
    root: Path
    source: int
    report: IndexReport
    progress: Progress | None
    total: int
    done: int = 0

    async def run(self, files: Sequence[FileFacts], limits: ParserLimits | None) -> None:
        queue: asyncio.Queue[EmbeddedDocument | None] = asyncio.Queue(maxsize=16)
        async with FileParser(limits) as parser, asyncio.TaskGroup() as group:
            group.create_task(self._parse(files, parser, queue))
            group.create_task(self._store(queue))

    async def _parse(
        self, files: Sequence[FileFacts], parser: FileParser, queue: asyncio.Queue[EmbeddedDocument | None]
    ) -> None:
        for facts in files:
            try:
                parsed = await parser.parse(self.root / facts.path)
                chunks = await asyncio.to_thread(chunk_document, parsed.document)
                item = EmbeddedDocument(replace(facts, hash=parsed.hash), parsed.document, chunks, None)
            except DocumentError as error:
                item = EmbeddedDocument(facts, None, (), None, str(error))
            await queue.put(item)
        await queue.put(None)

    async def _store(self, queue: asyncio.Queue[EmbeddedDocument | None]) -> None:
        pending: list[EmbeddedDocument] = []
        while (item := await queue.get()) is not None:
            pending.append(item)
            if sum(len(one.chunks) for one in pending) >= _BATCH_CHUNKS or len(pending) >= 256:
                await self._flush(pending)
                pending = []
        await self._flush(pending)

    async def _flush(self, pending: Sequence[EmbeddedDocument]) -> None:
        self.report.chunks += await self.index.store_batch(self.source, pending)
        for item in pending:
            self.done += 1
            if item.failed is None:
                self.report.read += 1
            elif self.report.failed is not None:
                self.report.failed[item.facts.path] = item.failed
            if self.progress:
                self.progress(IndexProgress(self.done, self.total, item.facts.path, item.failed))
