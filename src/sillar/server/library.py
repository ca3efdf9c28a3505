"""The documents that a server answers from: a folder for everyone, and uploads of each tenant's own.

Uploads lie in a folder of the server's, one subfolder a tenant, and are indexed like any other folder.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from sillar.documents import Follower, Index, IndexProgress
from sillar.documents.ingest.detect import is_supported
from sillar.documents.journal import Journal
from sillar.documents.store.protocol import Access, DocumentInfo
from sillar.engine.embedder import Embedder
from sillar.errors import RequestError, SillarError

SHARED = ""
"""The collection of the folder that everyone may read."""
_NAME_LENGTH = 150


@dataclass(slots=True)
class Job:
    """An upload on its way into the index."""

    id: int
    tenant: str
    document: str
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

    def follow(self, follower: Follower, say: Callable[[str], None]) -> None:
        """Follows a folder until `close`. `say` is told should that end before."""
        task = asyncio.ensure_future(follower.run())
        self._tasks.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            if not task.cancelled() and (error := task.exception()):
                say(f"{self.folder} is no longer followed: {error!r}")

        task.add_done_callback(ended)

    def access(self, tenant: str) -> Access:
        """The shared folder and the tenant's own uploads."""
        return Access(frozenset({SHARED, _collection(tenant)}))

    async def documents(self, tenant: str) -> list[DocumentInfo]:
        """What the tenant may see, failed documents too."""
        return await self.index.read(self.index.store.documents, self.access(tenant))

    async def document(self, tenant: str, document_id: int) -> DocumentInfo:
        """Raises RequestError where the tenant has no such document."""
        info = await self.index.read(self.index.store.document, document_id, self.access(tenant))
        if info is None:
            raise RequestError("There is no such document.")
        return info

    def path_of(self, info: DocumentInfo) -> Path:
        """Where a document's file lies."""
        return Path(info.location) / info.path

    def removable(self, tenant: str, info: DocumentInfo) -> bool:
        """Only the tenant's own uploads; the shared folder belongs to whoever runs the server."""
        return Path(info.location) == self._own(tenant).resolve()

    async def upload(self, tenant: str, name: str, content: AsyncIterator[bytes]) -> Job:
        """Stores a file whole or not at all and starts to index it. Raises RequestError for its name."""
        safe = safe_name(name)
        own = self._own(tenant)
        await asyncio.to_thread(own.mkdir, parents=True, exist_ok=True)
        job = Job(next(self._numbers), tenant, safe)
        partial = own / f".{job.id}.part"
        try:
            with partial.open("wb") as file:
                async for piece in content:
                    await asyncio.to_thread(file.write, piece)
            partial.replace(own / safe)
        finally:
            partial.unlink(missing_ok=True)
        self.jobs[job.id] = job
        self._start(job)
        return job

    async def remove(self, tenant: str, document_id: int) -> None:
        """Deletes one of the tenant's uploads. Raises RequestError for any other document."""
        info = await self.document(tenant, document_id)
        if not self.removable(tenant, info):
            raise RequestError("This document is not an upload: remove its file from the folder.")
        await asyncio.to_thread((self._own(tenant) / info.path).unlink, missing_ok=True)
        await self._synchronise(tenant, None)

    def _own(self, tenant: str) -> Path:
        return self.uploads / hashlib.sha256(tenant.encode()).hexdigest()[:16]

    def _start(self, job: Job) -> None:
        task = asyncio.ensure_future(self._run(job))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, job: Job) -> None:
        try:
            await self._synchronise(job.tenant, job)
        except SillarError:
            pass  # the document list says why
        finally:
            del self.jobs[job.id]

    async def _synchronise(self, tenant: str, job: Job | None) -> None:
        def progress(step: IndexProgress) -> None:
            if job is not None:
                job.stage, job.done, job.total = "reading", step.done, step.total

        await self.index.add_folder(self._own(tenant), progress, collection=_collection(tenant))


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


def _collection(tenant: str) -> str:
    return f"tenant:{tenant}"
