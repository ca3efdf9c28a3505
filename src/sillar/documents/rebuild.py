"""An index built anew beside itself: every source of the old one goes into the new one; folders are
read again, other documents keep their text and chunks and get new vectors.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from sillar.documents.ingest.limits import ParserLimits
from sillar.documents.progress import Progress
from sillar.documents.store.sqlite import SqliteStore
from sillar.documents.web_copy import copy_pages, is_web

if TYPE_CHECKING:
    from sillar.documents.index import Index

_BATCH_DOCUMENTS = 16


@asynccontextmanager
async def hold(path: Path) -> AsyncIterator[None]:
    """A lock between processes, given up at once where another holds it (filelock.Timeout)."""
    lock = FileLock(path, thread_local=False)
    await asyncio.to_thread(lock.acquire, timeout=0)
    try:
        yield
    finally:
        await asyncio.to_thread(lock.release)


async def copy_sources(
    old: SqliteStore, new: Index, pages: Path, progress: Progress | None, limits: ParserLimits | None
) -> None:
    """Brings every source of `old` into `new`; what an interrupted run brought already is left as it is.

    `pages`: the folder of pages that were fetched.
    """
    for location, collection in await asyncio.to_thread(old.sources):
        if is_web(location):
            await copy_pages(old, new, location, collection, pages, limits)
        elif await asyncio.to_thread(Path(location).is_dir):
            await new.add_folder(Path(location), progress, collection=collection, limits=limits)
        else:
            await _copy(old, new, location, collection)
    for collection, names in (await asyncio.to_thread(old.readers)).items():
        await new.set_readers(collection, names)


async def _copy(old: SqliteStore, new: Index, location: str, collection: str) -> None:
    paths = await asyncio.to_thread(old.paths, location)
    known = await new.known(location, collection)
    missing = [path for path in paths if path not in known]
    for start in range(0, len(missing), _BATCH_DOCUMENTS):
        batch = await asyncio.to_thread(old.load, location, missing[start : start + _BATCH_DOCUMENTS])
        await new.store_documents(location, batch, collection)
