"""The documents that a server answers from: a folder for everyone, and uploads of each tenant's own.

Uploads lie in a folder of the server's, one subfolder a collection, and are indexed like any other folder.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from sillar.documents import Follower, Index, IndexProgress
from sillar.documents.gaps import usual_directions
from sillar.documents.ingest.detect import is_supported
from sillar.documents.journal import Journal
from sillar.documents.store.protocol import Access, DocumentInfo
from sillar.engine.embedder import Embedder
from sillar.errors import RequestError, SillarError
from sillar.server.auth import Client
from sillar.server.collections import SHARED, Shelf, Shelves

_NAME_LENGTH = 150


@dataclass(slots=True)
class Job:
    """An upload on its way into the index."""

    id: int
    tenant: str
    document: str
    shelf: Shelf
    stage: str = "waiting"
    done: int = 0
    total: int = 0


@dataclass(slots=True)
class Library:
    """Index, uploads and journal of one server. `close` when done."""

    index: Index
    journal: Journal
    folder: Path
    uploads: Path
    jobs: dict[int, Job] = field(default_factory=dict)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _removing: asyncio.Lock = field(default_factory=asyncio.Lock)
    _usual: dict[str, NDArray[np.float32]] = field(default_factory=dict)

    @classmethod
    def open(cls, folder: Path, index_path: Path, embedder: Embedder) -> Library:
        """Everything beside the index: NAME.journal.db and NAME.uploads/."""
        journal = Journal(index_path.with_suffix(".journal.db"))
        return cls(
            Index.open(index_path, embedder, update=True), journal, folder, index_path.with_suffix(".uploads")
        )

    async def close(self) -> None:
        """Ends running jobs; what is committed stays."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.index.close()
        self.journal.close()

    async def usual_questions(self) -> dict[str, NDArray[np.float32]]:
        """What the vectors of everyday questions share, by language: gaps are grouped beside it."""
        if not self._usual:
            self._usual = await usual_directions(self.index.embedder)
        return self._usual

    def follow(self, follower: Follower, say: Callable[[str], None]) -> None:
        """Follows a folder until `close`. `say` is told should that end before."""
        task = asyncio.ensure_future(follower.run())
        self._tasks.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            if not task.cancelled() and (error := task.exception()):
                say(f"{self.folder} is no longer followed: {error!r}")

        task.add_done_callback(ended)

    async def shelves(self, client: Client) -> list[Shelf]:
        """The collections that the client's tenant may write to, its unnamed uploads first."""
        return await asyncio.to_thread(Shelves(self.uploads).all, client.tenant)

    async def access(self, client: Client) -> Access:
        """The shared folder, the tenant's own shelves, and what the index lets this key or tenant read."""
        own = [shelf.collection for shelf in await self.shelves(client)]
        return await self.index.access(client.tenant, client.name, always=(SHARED, *own))

    async def documents(self, client: Client) -> list[DocumentInfo]:
        """What the client may see, failed documents too."""
        access = await self.access(client)
        return await self.index.read(self.index.store.documents, access)

    async def document(self, client: Client, document_id: int) -> DocumentInfo:
        """Raises RequestError where the client may see no such document."""
        info, _ = await self._open(client, document_id, with_text=False)
        return info

    async def text(self, client: Client, document_id: int) -> tuple[DocumentInfo, str]:
        """A document with its text. Raises RequestError where the client may see no such document."""
        return await self._open(client, document_id, with_text=True)

    async def _open(self, client: Client, document_id: int, *, with_text: bool) -> tuple[DocumentInfo, str]:
        access = await self.access(client)
        store = self.index.store  # one generation for both: in the next, the number is another document's
        info = await self.index.read(store.document, document_id, access)
        if info is None:
            raise RequestError("There is no such document.")
        return info, await self.index.read(store.text, document_id) if with_text else ""

    def path_of(self, info: DocumentInfo) -> Path:
        """Where a document's file lies."""
        return Path(info.location) / info.path

    async def running(self, client: Client) -> list[Job]:
        """The tenant's uploads on their way into the index, each at its stage."""
        files = await self.index.jobs(await self.access(client))
        stages = {(file.location, file.path): file.stage for file in files}
        own = [job for job in self.jobs.values() if job.tenant == client.tenant]
        for job in own:
            done = "storing" if job.total else "waiting"
            job.stage = stages.get((str(job.shelf.folder.resolve()), job.document), done)
        return own

    async def upload(self, client: Client, name: str, collection: str, content: AsyncIterator[bytes]) -> Job:
        """Stores a file whole or not at all and starts to index it; a collection that is new is made.

        Raises RequestError for the file's name or the collection's.
        """
        safe = safe_name(name)
        shelf = await asyncio.to_thread(Shelves(self.uploads).choose, client.tenant, collection)
        job = Job(next(self._numbers), client.tenant, safe, shelf)
        partial = shelf.folder / f".{job.id}.part"
        shelf.folder.mkdir(parents=True, exist_ok=True)  # no await until it holds a file: see `remove`
        try:
            with partial.open("wb") as file:
                async for piece in content:
                    await asyncio.to_thread(file.write, piece)
            partial.replace(shelf.folder / safe)
        except BaseException:
            partial.unlink(missing_ok=True)
            _drop_empty(shelf)
            raise
        self.jobs[job.id] = job
        self._start(job)
        return job

    async def remove(self, client: Client, document_id: int) -> None:
        """Deletes one of the tenant's uploads, and with the last one its named collection. Raises
        RequestError for any other document.
        """
        async with self._removing:
            info = await self.document(client, document_id)
            shelf = holding(info, await self.shelves(client))
            if shelf is None:
                raise RequestError("This document is not an upload: remove its file from the folder.")
            await asyncio.to_thread((shelf.folder / info.path).unlink, missing_ok=True)
            await self._synchronise(shelf, None)
            _drop_empty(shelf)

    def _start(self, job: Job) -> None:
        task = asyncio.ensure_future(self._run(job))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, job: Job) -> None:
        try:
            await self._synchronise(job.shelf, job)
        except SillarError:
            pass  # the document list says why
        finally:
            del self.jobs[job.id]

    async def _synchronise(self, shelf: Shelf, job: Job | None) -> None:
        def progress(step: IndexProgress) -> None:
            if job is not None:
                job.done, job.total = step.done, step.total

        await self.index.add_folder(shelf.folder, progress, collection=shelf.collection)


def holding(info: DocumentInfo, shelves: list[Shelf]) -> Shelf | None:
    """The shelf that a document lies on; None for one of a folder."""
    found = (s for s in shelves if s.collection == info.collection)
    return next((s for s in found if str(s.folder.resolve()) == info.location), None)


def _drop_empty(shelf: Shelf) -> None:
    """Without its last file a collection is no more."""
    with suppress(OSError):
        shelf.folder.rmdir()


def safe_name(name: str) -> str:
    """The last part of a file name that a client gave. Raises RequestError when nothing usable is left."""
    base = PurePosixPath(name.replace("\\", "/")).name
    base = "".join(c for c in base if c.isprintable() and c not in '/<>:"|?*').strip().lstrip(".")
    stem, suffix = os.path.splitext(base)
    base = stem[: _NAME_LENGTH - len(suffix)].rstrip() + suffix
    if not is_supported(base) or len(base.encode("utf-8", "replace")) > 255:
        raise RequestError(
            "Files of this kind are not read: PDF, Office, HTML, text, CSV, mail, EPUB and zip are."
        )
    return base.encode("utf-8", "ignore").decode()
