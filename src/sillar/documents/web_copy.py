"""Where fetched pages lie beside an index, and how they come into its next generation."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from sillar.documents.chunk import chunk_document
from sillar.documents.ingest.limits import ParserLimits
from sillar.documents.ingest.parser import FileParser
from sillar.documents.store import addresses, jobs
from sillar.documents.store.protocol import EVERYTHING, EmbeddedDocument
from sillar.errors import DocumentError

if TYPE_CHECKING:
    from sillar.documents.index import Index
    from sillar.documents.store.sqlite import SqliteStore

_SCHEME = "web:"
_BATCH_DOCUMENTS = 16
_LOST = "What was fetched of it is not there any more: fetch it again."


def location_of(collection: str) -> str:
    """What the index calls the pages of a collection, in a folder's place."""
    return _SCHEME + collection


def is_web(location: str) -> bool:
    """Whether a source's location is the web, and not a folder."""
    return location.startswith(_SCHEME)


def pages_folder(index: Path) -> Path:
    """Where an index keeps the pages that it has fetched."""
    return index.with_suffix(".web")


def kept_page(folder: Path, collection: str, content: str = "") -> Path:
    """Where the page with this SHA-256 lies; without one, the folder of the collection's pages."""
    return folder / sha256(collection.encode()).hexdigest()[:16] / content


async def copy_pages(
    old: SqliteStore, new: Index, location: str, collection: str, folder: Path, limits: ParserLimits | None
) -> None:
    """Brings pages into another index without fetching them: they are parsed again from what was kept."""
    paths = await asyncio.to_thread(old.paths, location)
    known = await new.known(location, collection)
    missing = [path for path in paths if path not in known]
    pages = await asyncio.to_thread(old.addresses, location)
    async with FileParser(limits) as parser:
        for start in range(0, len(missing), _BATCH_DOCUMENTS):
            stored = await asyncio.to_thread(old.load, location, missing[start : start + _BATCH_DOCUMENTS])
            items = await _again(stored, pages, kept_page(folder, collection), parser)
            await new.store_documents(location, items, collection)
    source = await new.source(location, collection)
    await new.within(addresses.put, source, list(pages.values()))
    queued = [job.path for job in await asyncio.to_thread(old.jobs, EVERYTHING) if job.location == location]
    await new.within(jobs.add, source, queued, collection)


async def _again(
    items: Sequence[EmbeddedDocument], pages: dict[str, addresses.Address], folder: Path, parser: FileParser
) -> list[EmbeddedDocument]:
    return [await _parsed(item, pages.get(item.facts.path), folder, parser) for item in items]


async def _parsed(
    item: EmbeddedDocument, page: addresses.Address | None, folder: Path, parser: FileParser
) -> EmbeddedDocument:
    """The document as today's parsers read it; one that was not kept, or is not read any more, stays."""
    kept = folder / item.facts.hash
    if item.failed is not None or page is None or not await asyncio.to_thread(kept.is_file):
        return item if item.failed is not None or item.chunks else replace(item, document=None, failed=_LOST)
    try:
        parsed = await parser.parse(kept, page.name)
    except DocumentError as error:
        return item if item.chunks else replace(item, document=None, failed=str(error), kind=error.kind)
    chunks = await asyncio.to_thread(chunk_document, parsed.document)
    return replace(item, document=parsed.document, chunks=chunks)
