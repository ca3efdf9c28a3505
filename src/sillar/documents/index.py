"""The index of a user's documents: folders go in, passages come out. All calls are async; the store has
its own threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import platformdirs
from filelock import Timeout
from numpy.typing import NDArray

from sillar.documents.alignment import WordVectors
from sillar.documents.background import Background
from sillar.documents.chunk import ChunkSize
from sillar.documents.document import Document, Passage
from sillar.documents.folder import FolderChanges, compare
from sillar.documents.folder_job import FolderJob, chunked
from sillar.documents.generations import identity, remove, remove_all, shadow_of, switch
from sillar.documents.ingest.limits import ParserLimits
from sillar.documents.interfaces import TextEmbedder, TextReranker
from sillar.documents.language import detect_language
from sillar.documents.progress import IndexReport, Progress
from sillar.documents.rebuild import copy_sources, hold
from sillar.documents.rerank import rerank
from sillar.documents.search import SearchOptions, matches_without_references, search
from sillar.documents.store import addresses
from sillar.documents.store.jobs import FileJob, Stage
from sillar.documents.store.protocol import (
    EVERYTHING,
    Access,
    EmbeddedDocument,
    FileState,
    StoreCounts,
)
from sillar.documents.store.schema import OlderIndexError, old_content
from sillar.documents.store.sqlite import SqliteStore
from sillar.documents.store.vectors import VectorKernels
from sillar.documents.web_copy import pages_folder
from sillar.errors import DocumentError

T = TypeVar("T")
_WARM_ROWS = 16_384


def default_index_path(folder: Path) -> Path:
    """Where the index of a folder is kept: in the user's data directory, keyed by the folder's real path."""
    real = os.path.realpath(folder)
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", os.path.basename(real))[:40] or "root"
    key = hashlib.sha256(os.fsencode(real)).hexdigest()[:12]
    return platformdirs.user_data_path("sillar") / "indexes" / f"{name}-{key}.db"


class Index:
    """Documents of one or more folders. Open with `Index.open`, close when done, or use `async with`."""

    def __init__(
        self,
        path: Path,
        embedder: TextEmbedder,
        kernels: VectorKernels | None = None,
        options: SearchOptions | None = None,
    ) -> None:
        self.path = path
        self.embedder = embedder
        self.options = options or SearchOptions()
        self.reranker: TextReranker | None = None
        """Set it, and English questions have their first English passages reranked."""
        self.word_vectors = WordVectors(embedder)
        self._kernels = kernels
        self._identity = (0, 0)
        self._retired: list[SqliteStore] = []
        self.store = self._open()
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
        update: bool = False,
        kernels: VectorKernels | None = None,
        options: SearchOptions | None = None,
    ) -> Index:
        """Opens or makes the index file; after `rebuild`, the next add_folder reads everything again.

        One that was made by another embedder or other parsers is searched as it is (`stale` says why), and
        built anew beside itself by the next add_folder. One with an older version's tables keeps
        its list of sources and its pages, if `update`; otherwise OlderIndexError.
        """
        if rebuild and path.exists():
            _outdate(path, embedder, kernels)
        try:
            return cls(path, embedder, kernels, options)
        except OlderIndexError:
            if not update:
                raise
        shadow = shadow_of(path)
        remove(shadow)
        store = SqliteStore(shadow, embedder.fingerprint, embedder.dim, kernels)
        sources, pages = old_content(path)
        store.adopt_sources(sources)
        store.within(addresses.adopt, pages)
        store.close()
        switch(path, shadow)
        return cls(path, embedder, kernels, options)

    @property
    def stale(self) -> str:
        """Why the index should be built anew; "" when there is no reason."""
        return self.store.stale

    def _open(self) -> SqliteStore:
        store = SqliteStore(self.path, self.embedder.fingerprint, self.embedder.dim, self._kernels)
        self._identity = identity(self.path)
        return store

    def _adopt(self) -> None:
        """Opens the generation that the path names now; what still reads the one before is let finish."""
        before, self.store = self.store, self._open()
        self._retired.append(before)

    async def __aenter__(self) -> Index:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Waits for running work and closes the store."""
        await asyncio.to_thread(self._writing.shutdown)
        await asyncio.to_thread(self._reading.shutdown)
        for store in [self.store, *self._retired]:
            store.close()

    async def _write(self, function: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._writing, function, *arguments)

    async def read(self, function: Callable[..., T], *arguments: object) -> T:
        """Runs a reading call of the store on its thread."""
        return await asyncio.get_running_loop().run_in_executor(self._reading, function, *arguments)

    async def warm(self) -> None:
        """Reads the vectors, which the first search would wait for; other readers get in between."""
        while await self.read(self.store.load_vectors, _WARM_ROWS):
            pass

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
        unsettled: Collection[str] = (),
    ) -> IndexReport:
        """Makes the index equal to the folder, touching only what changed. Raises DocumentError if it is
        no folder.

        Each document is committed whole or not at all; after an interruption the next call goes on where
        it ended. Paths that are `unsettled` are left as they are.
        """
        root = await asyncio.to_thread(_real_folder, folder)
        started = time.monotonic()
        async with self.changing(progress, limits):
            source = await self._write(self.store.source, root, collection)
            known = await self._write(self.store.files, source)
            look = partial(compare, root, known, retry_failed=retry_failed, unsettled=unsettled)
            changes = await asyncio.to_thread(look)
            await self._apply(source, changes)
            report = IndexReport(unchanged=changes.unchanged + len(changes.touched), moved=len(changes.moved),
                                 deleted=len(changes.deleted), failed={})  # fmt: skip
            facts = [replace(item, collection=collection) for item in changes.read]
            await self._write(self.store.begin_jobs, source, [item.path for item in facts], collection)
            job = FolderJob(self, root, source, report, progress, len(facts))
            await job.run(facts, limits)
        report.seconds = time.monotonic() - started
        return report

    @contextlib.asynccontextmanager
    async def changing(
        self, progress: Progress | None = None, limits: ParserLimits | None = None
    ) -> AsyncIterator[None]:
        """Around changes of what is indexed: one at a time, and into an index that is not stale."""
        async with self._indexing:
            await self._renew(progress, limits)
            yield

    async def within(self, function: Callable[..., T], *arguments: object) -> T:
        """A function of a small table's module, in a writing transaction of the store."""
        return await self._write(self.store.within, function, *arguments)

    async def source(self, location: str, collection: str) -> int:
        """The id of a source, made when it is new."""
        return await self._write(self.store.source, Path(location), collection)

    async def _renew(self, progress: Progress | None, limits: ParserLimits | None) -> None:
        """Builds a stale index anew beside itself and takes the new one's place; searches go on meanwhile.

        An interrupted build is gone on with. Sources that are no folders any more keep what was stored.
        """
        if not self.stale:
            return
        try:
            async with hold(Path(f"{self.path}.lock")):
                await asyncio.to_thread(self._adopt)
                if self.stale:
                    shadow = await asyncio.to_thread(self._open_shadow)
                    async with shadow:
                        await copy_sources(self.store, shadow, pages_folder(self.path), progress, limits)
                    await asyncio.to_thread(switch, self.path, shadow.path)
                    await asyncio.to_thread(self._adopt)
        except Timeout:
            raise DocumentError(f"{self.path} is being rebuilt by another process.") from None

    def _open_shadow(self) -> Index:
        """The next generation, begun or gone on with; one that is stale itself is begun again."""
        path = shadow_of(self.path)
        shadow = Index(path, self.embedder, self._kernels, self.options)
        if shadow.stale:
            shadow.store.close()
            remove(path)
            shadow = Index(path, self.embedder, self._kernels, self.options)
        return shadow

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
        source = await self._write(self.store.source, Path(location), collection)
        chunks = 0

        async def save(embedded: Sequence[EmbeddedDocument]) -> None:
            nonlocal chunks
            chunks += await self.save(source, embedded)

        batches = chunked(documents, size, collection)
        batch = await asyncio.to_thread(next, batches, None)
        async with Background() as background:
            while batch is not None:
                embedding, following = self.embed_chunks(batch), asyncio.to_thread(next, batches, None)
                embedded, batch = await asyncio.gather(embedding, following)
                await background.done()
                background.add(save(embedded))
        return chunks

    async def known(self, location: str, collection: str) -> Mapping[str, FileState]:
        """The documents of a source by path; the source is made when it is new."""
        source = await self._write(self.store.source, Path(location), collection)
        return await self._write(self.store.files, source)

    async def store_documents(self, location: str, items: Sequence[EmbeddedDocument], collection: str) -> int:
        """Embeds and stores documents that are chunked already, all in one transaction; answers how many
        chunks.
        """
        return await self.save(await self.source(location, collection), await self.embed_chunks(items))

    async def delete(self, document_ids: Sequence[int]) -> None:
        """Removes documents with all that was made of them, in one transaction."""
        await self._write(self.store.delete, document_ids)

    async def set_readers(self, collection: str, readers: Sequence[str]) -> None:
        """Who may read a collection: names of keys or tenants, or "*" for everyone."""
        await self._write(self.store.set_readers, collection, readers)

    async def readers(self) -> dict[str, list[str]]:
        """Who may read each collection beside those that own it."""
        return await self.read(self.store.readers)

    async def access(self, *names: str, always: Sequence[str] = ()) -> Access:
        """What someone with these names may see, by the collections' readers, and `always`."""
        return Access(await self.read(self.store.readable, names) | frozenset(always))

    async def embed_chunks(self, pending: Sequence[EmbeddedDocument]) -> list[EmbeddedDocument]:
        """The documents with the vectors of their chunks, embedded together."""
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
        return ready

    async def save(self, source: int, embedded: Sequence[EmbeddedDocument]) -> int:
        """Commits documents with their vectors in one transaction; answers how many chunks."""
        if embedded:
            await self._write(self.store.put, source, embedded)
        return sum(len(item.chunks) for item in embedded)

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
        await self._follow()
        reranker = self.reranker if detect_language(question) == "en" else None
        depth = k if reranker is None else max(k, self.options.rerank.candidates)
        find = partial(search, self.store, question, vector, k=depth, access=access, options=self.options)
        passages = await self.read(find)
        if match := await matches_without_references(question, vector, passages, self.embedder):
            passages = await self.read(partial(find, instead=match))
        if reranker is not None:
            passages = await rerank(reranker, question, passages, self.options.rerank)
        return passages[:k]

    async def _follow(self) -> None:
        """Goes over to a generation that another process has built, if it fits this embedder."""
        if identity(self.path) in (self._identity, (0, 0)):
            return
        with contextlib.suppress(DocumentError):
            await self.read(self._adopt)

    async def frequencies(
        self, terms: Sequence[str], access: Access = EVERYTHING
    ) -> tuple[dict[str, int], int]:
        """In how many chunks that the caller may see each word or stem occurs, and how many there are."""
        return await self.read(self.store.document_frequency, terms, access)

    async def advance(self, source: int, paths: Sequence[str], stage: Stage) -> None:
        """Moves files that are being read to their next stage."""
        await self._write(self.store.advance, source, paths, stage)

    async def jobs(self, access: Access = EVERYTHING) -> list[FileJob]:
        """Files on their way into the index, each with its stage."""
        return await self.read(self.store.jobs, access)


def _outdate(path: Path, embedder: TextEmbedder, kernels: VectorKernels | None) -> None:
    """Marks an index as stale, so that it is built anew from its sources; one that is damaged is deleted."""
    remove(shadow_of(path))
    try:
        store = SqliteStore(path, embedder.fingerprint, embedder.dim, kernels)
    except OlderIndexError:
        return
    except (DocumentError, sqlite3.Error):
        remove_all(path)
        return
    store.outdate()
    store.close()


def _real_folder(folder: Path) -> Path:
    if not folder.is_dir():
        raise DocumentError(f"{folder} is not a folder.")
    return folder.resolve()
