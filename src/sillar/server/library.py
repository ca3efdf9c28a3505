"""The documents that a server answers from: a folder for everyone, and uploads of each tenant's own.

Uploads lie in a folder of the server's, one subfolder a collection, and are indexed like any other folder.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import unicodedata
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sillar.documents import FetchRules, Follower, Index, IndexProgress, IndexReport, WebPages
from sillar.documents.gaps import usual_directions
from sillar.documents.ingest.detect import is_supported
from sillar.documents.journal import Journal
from sillar.documents.store import jobs
from sillar.documents.store.jobs import FileJob
from sillar.documents.store.protocol import Access, DocumentInfo, Section
from sillar.documents.store.sqlite import SqliteStore
from sillar.documents.web_copy import is_web, kept_page, pages_folder
from sillar.engine.embedder import Embedder
from sillar.errors import ConfigError, RequestError, SillarError
from sillar.server.auth import Client
from sillar.server.collections import SHARED, Shelf, Shelves, hold, release

_NAME_LENGTH = 150
_MAX_PAGES = 500
"""Of the web that a tenant may have waiting."""


@dataclass(slots=True)
class Job:
    """An upload, or a page of the web, on its way into the index."""

    id: int
    tenant: str
    document: str
    shelf: Shelf
    location: str
    """What the index calls the folder that it comes from, or the web."""
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
    rules: FetchRules = field(default_factory=FetchRules)
    """What the operator lets tenants fetch from the web."""
    jobs: dict[int, Job] = field(default_factory=dict)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _removing: asyncio.Lock = field(default_factory=asyncio.Lock)
    _usual: dict[str, NDArray[np.float32]] = field(default_factory=dict)

    @classmethod
    def open(
        cls, folder: Path, index_path: Path, embedder: Embedder, rules: FetchRules | None = None
    ) -> Library:
        """Everything beside the index: NAME.journal.db, NAME.uploads/ and NAME.web/."""
        journal = Journal(index_path.with_suffix(".journal.db"))
        index = Index.open(index_path, embedder, update=True)
        return cls(index, journal, folder, index_path.with_suffix(".uploads"), rules or FetchRules())

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
        self.start(follower.run(), lambda error: say(f"{self.folder} is no longer followed: {error}"))

    def start(self, work: Coroutine[Any, Any, None], say: Callable[[str], None]) -> None:
        """Runs something beside the requests until `close`; `say` is told of its error."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            if not task.cancelled() and (error := task.exception()):
                say(str(error) if isinstance(error, SillarError) else repr(error))

        task.add_done_callback(ended)

    async def shelves(self, client: Client) -> list[Shelf]:
        """The collections that the client's tenant may write to, its unnamed uploads first."""
        return await asyncio.to_thread(Shelves(self.uploads).all, client.tenant)

    async def access(self, client: Client) -> Access:
        """The shared folder, the tenant's own shelves, and what the index lets this key or tenant read."""
        own = [shelf.collection for shelf in await self.shelves(client)]
        return await self.index.access(client.tenant, client.name, always=(SHARED, *own))

    async def own_shelf(self, client: Client, name: str) -> Shelf:
        """The tenant's collection of that name. Raises RequestError where it has none."""
        for shelf in await self.shelves(client):
            if shelf.name == unicodedata.normalize("NFC", name):
                return shelf
        raise RequestError("There is no such collection.")

    async def readers(self, client: Client, name: str) -> list[str]:
        """Who else may read one of the tenant's collections. Raises RequestError where it has none such."""
        shelf = await self.own_shelf(client, name)
        return (await self.index.readers()).get(shelf.collection, [])

    async def set_readers(self, client: Client, name: str, readers: Sequence[str]) -> None:
        """Lets these keys and tenants, and nobody else, read one of the tenant's collections beside it."""
        shelf = await self.own_shelf(client, name)
        async with self.index.changing():
            await self.index.set_readers(shelf.collection, readers)

    async def documents(self, client: Client) -> list[DocumentInfo]:
        """What the client may see, failed documents too."""
        access = await self.access(client)
        return await self.index.read(self.index.store.documents, access)

    async def document(self, client: Client, document_id: int) -> DocumentInfo:
        """Raises RequestError where the client may see no such document."""
        info, _ = await self._open(client, document_id)
        return info

    async def text(self, client: Client, document_id: int) -> tuple[DocumentInfo, str]:
        """A document with its text. Raises RequestError where the client may see no such document."""
        info, store = await self._open(client, document_id)
        return info, await self.index.read(store.text, document_id)

    async def sections(self, client: Client, document_id: int) -> tuple[DocumentInfo, list[Section]]:
        """A document and what it is divided into. RequestError as `text`."""
        info, store = await self._open(client, document_id)
        return info, await self.index.read(store.sections, document_id)

    async def _open(self, client: Client, document_id: int) -> tuple[DocumentInfo, SqliteStore]:
        """What is known of a document, and the generation that knows it: in the next, the number is another
        document's.
        """
        access = await self.access(client)
        store = self.index.store
        info = await self.index.read(store.document, document_id, access)
        if info is None:
            raise RequestError("There is no such document.")
        return info, store

    def path_of(self, info: DocumentInfo) -> Path:
        """Where a document's file lies; of a page of the web, what was fetched."""
        if is_web(info.location):
            return kept_page(pages_folder(self.index.path), info.collection, info.hash)
        return Path(info.location) / info.path

    async def running(self, client: Client) -> tuple[list[Job], list[FileJob]]:
        """What is on its way into the index: what the tenant asked for, each at its stage; and other files
        that the client may see, such as those of the shared folder, the furthest first.
        """
        files = await self.index.jobs(await self.access(client))
        stages = {(file.location, file.path): file for file in files}
        own = [job for job in self.jobs.values() if job.tenant == client.tenant]
        for job in own:
            file = stages.pop((job.location, job.document), None)
            job.stage = file.stage if file else "storing" if job.total else "waiting"
        return own, sorted(stages.values(), key=lambda file: file.stage in {"found", "fetching"})

    async def upload(self, client: Client, name: str, collection: str, content: AsyncIterator[bytes]) -> Job:
        """Stores a file whole or not at all and starts to index it; a collection that is new is made.

        Raises RequestError for the file's name or the collection's.
        """
        safe = safe_name(name)
        shelf = await asyncio.to_thread(Shelves(self.uploads).choose, client.tenant, collection)
        job = self._job(client.tenant, safe, shelf, str(shelf.folder.resolve()))
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
        source = await self.index.source(job.location, shelf.collection)
        await self.index.within(jobs.add, source, [safe], shelf.collection)
        self.jobs[job.id] = job
        self._start(self._run(job))
        return job

    def _job(self, tenant: str, document: str, shelf: Shelf, location: str) -> Job:
        return Job(next(self._numbers), tenant, document, shelf, location)

    async def fetch(self, client: Client, urls: Sequence[str], collection: str) -> list[Job]:
        """Starts to fetch pages of the web, or to fetch them again; a collection that is new is made.

        Raises RequestError for an address that the rules do not allow, for the collection's name, and where
        too many are waiting already.
        """
        shelf = await asyncio.to_thread(Shelves(self.uploads).choose, client.tenant, collection)
        pages = WebPages(self.index, self.rules, shelf.collection)
        waiting = sum(job.tenant == client.tenant and is_web(job.location) for job in self.jobs.values())
        if waiting + len(urls) > _MAX_PAGES:
            raise RequestError(f"{waiting} pages are waiting already; there may be {_MAX_PAGES} at once.")
        try:
            wanted = await pages.queue(urls)
        except ConfigError as error:
            raise RequestError(f"{error}.") from None
        begun = [self._job(client.tenant, url, shelf, pages.location) for url in wanted]
        self.jobs |= {job.id: job for job in begun}
        self._start(self._fetch(pages, shelf, begun))
        return begun

    async def _fetch(self, pages: WebPages, shelf: Shelf, begun: Sequence[Job]) -> None:
        by_url = {job.document: job for job in begun}

        def progress(step: IndexProgress) -> None:
            self.jobs.pop(by_url[step.file].id, None)

        try:
            await asyncio.to_thread(hold, shelf)
            await pages.fetch(list(by_url), progress)
            await asyncio.to_thread(hold, shelf)  # whatever was removed meanwhile
        except SillarError:
            pass  # they stay in the queue for the next start
        finally:
            for job in begun:
                self.jobs.pop(job.id, None)

    async def resume(self) -> None:
        """Goes on with the uploads and pages that an interrupted server had taken and not indexed yet."""
        left: dict[tuple[str, str], list[str]] = {}
        for job in await self.index.jobs():
            left.setdefault((job.location, job.collection), []).append(job.path)
        uploads = self.uploads.resolve()
        for (location, collection), paths in left.items():
            if is_web(location) and self.rules.hosts:
                self._start(_quietly(WebPages(self.index, self.rules, collection).fetch(paths)))
            elif uploads in Path(location).parents:
                self._start(_quietly(self.index.add_folder(Path(location), collection=collection)))

    async def remove(self, client: Client, document_id: int) -> None:
        """Deletes one of the tenant's uploads or pages, and with the last one its named collection. Raises
        RequestError for any other document.
        """
        async with self._removing:
            info = await self.document(client, document_id)
            shelf = holding(info, await self.shelves(client))
            if shelf is None:
                raise RequestError("This document is not an upload: remove its file from the folder.")
            if is_web(info.location):
                pages = WebPages(self.index, self.rules, shelf.collection)
                await pages.remove([info.path])
                if not await pages.known():
                    await asyncio.to_thread(release, shelf)
            else:
                await asyncio.to_thread((shelf.folder / info.path).unlink, missing_ok=True)
                await self._synchronise(shelf, None)
            _drop_empty(shelf)
            if not await asyncio.to_thread(shelf.folder.exists):
                await self.index.set_readers(shelf.collection, [])  # the next of that name begins anew

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
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
    """The shelf that an upload or a page lies on; None for a document of a folder."""
    found = (s for s in shelves if s.collection == info.collection)
    return next((s for s in found if is_web(info.location) or str(s.folder.resolve()) == info.location), None)


async def _quietly(work: Coroutine[Any, Any, IndexReport]) -> None:
    """What fails is told by the document list, or stays for the next start."""
    with suppress(SillarError):
        await work


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
