"""Pages of the web as a source: fetched on request, kept beside the index, embedded when they have changed.

What becomes of a page that cannot be had: if its server says that it is gone (404, 410), its passages go and
its address stays in the list as failed; after any other trouble the index keeps what was fetched before.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from uuid import uuid4

from filelock import FileLock, Timeout

from sillar.documents.chunk import chunk_document
from sillar.documents.fetch import Fetched, Validators, fetch
from sillar.documents.fetch_rules import FetchRules, canonical, check
from sillar.documents.index import Index
from sillar.documents.ingest.limits import ParserLimits
from sillar.documents.ingest.parser import FileParser
from sillar.documents.progress import IndexProgress, IndexReport, Progress
from sillar.documents.store import addresses, jobs
from sillar.documents.store.addresses import Address
from sillar.documents.store.protocol import EmbeddedDocument, FileFacts, FileState
from sillar.documents.web_copy import kept_page, location_of, pages_folder
from sillar.errors import DocumentError

_TOGETHER = 4
_LOCK_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of one page: new content to store, a row about it, a reason."""

    url: str
    item: EmbeddedDocument | None = None
    address: Address | None = None
    failed: str | None = None
    before: Address | None = None
    """The row of the version that the index has."""
    fetched: Fetched | None = None
    """New content that is still to be read."""


class WebPages:
    """The pages of one collection of an index. `fetch` them, `remove` them; both wait for one another, in
    other processes too.
    """

    def __init__(
        self, index: Index, rules: FetchRules, collection: str = "", limits: ParserLimits | None = None
    ) -> None:
        self._index = index
        self._rules = rules
        self._collection = collection
        self._limits = limits
        self.location = location_of(collection)
        self.folder = kept_page(pages_folder(index.path), collection)

    async def known(self) -> Mapping[str, FileState]:
        """Every page by its address, those that could not be had too."""
        return await self._index.known(self.location, self._collection)

    async def queue(self, urls: Sequence[str]) -> list[str]:
        """Notes pages to be fetched, so that an interrupted run is gone on with; answers their addresses as
        they are kept. Raises ConfigError for one that the rules do not allow, and then notes none.
        """
        wanted = list(dict.fromkeys(canonical(str(check(url, self._rules))) for url in urls))
        source = await self._index.source(self.location, self._collection)
        await self._index.within(jobs.add, source, wanted, self._collection)
        return wanted

    async def queued(self) -> list[str]:
        """What was noted and is not done."""
        return [job.path for job in await self._index.jobs() if job.location == self.location]

    async def fetch(self, urls: Sequence[str], progress: Progress | None = None) -> IndexReport:
        """Fetches pages and stores those whose content is new; each is committed whole or not at all."""
        report = IndexReport(failed={})
        started = time.monotonic()
        async with self._alone(), FileParser(self._limits) as parser:
            for start in range(0, len(urls), _TOGETHER):
                batch = urls[start : start + _TOGETHER]
                await self._batch(batch, parser, report)
                for number, url in enumerate(batch, start + 1):
                    if progress:
                        progress(IndexProgress(number, len(urls), url, (report.failed or {}).get(url)))
        report.seconds = time.monotonic() - started
        return report

    async def remove(self, urls: Sequence[str]) -> int:
        """Takes pages out of the index; answers how many there were."""
        wanted = {canonical(url) for url in urls}
        async with self._alone(), self._index.changing(limits=self._limits):
            found = [state.document_id for url, state in (await self.known()).items() if url in wanted]
            await self._index.delete(found)
            await self._record([])
        return len(found)

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Waits until no other run over these pages is under way."""
        await asyncio.to_thread(partial(self.folder.mkdir, parents=True, exist_ok=True))
        lock = FileLock(self.folder / ".lock", thread_local=False)
        while True:
            try:
                lock.acquire(timeout=0)
                break
            except Timeout:
                await asyncio.sleep(_LOCK_SECONDS)
        try:
            yield
        finally:
            lock.release()

    async def _batch(self, urls: Sequence[str], parser: FileParser, report: IndexReport) -> None:
        """Fetched side by side; the index is held only after that, for as long as it takes to store them."""
        source = await self._index.source(self.location, self._collection)
        await self._index.advance(source, urls, "fetching")
        states = await self.known()
        pages = await self._index.within(addresses.read, source)
        parts = {url: self.folder / f".{uuid4().hex}.part" for url in urls}
        try:
            outcomes = await asyncio.gather(
                *(self._one(url, states.get(url), pages.get(url), parts[url]) for url in urls)
            )
            await self._index.advance(source, urls, "parsing")
            outcomes = [
                await self._read(one, states.get(one.url), parts[one.url], parser) for one in outcomes
            ]
        finally:
            await asyncio.to_thread(_drop, parts.values())
        await self._index.advance(source, urls, "embedding")
        async with self._index.changing(limits=self._limits):
            items = [outcome.item for outcome in outcomes if outcome.item is not None]
            report.chunks += await self._index.store_documents(self.location, items, self._collection)
            await self._record([outcome.address for outcome in outcomes if outcome.address is not None], urls)
        for outcome in outcomes:
            self._count(outcome, states.get(outcome.url), report)

    def _count(self, outcome: _Outcome, before: FileState | None, report: IndexReport) -> None:
        assert report.failed is not None
        if outcome.failed is not None:
            report.failed[outcome.url] = outcome.failed
            if outcome.item is not None and before is not None and before.failed is None:
                report.deleted += 1
        elif outcome.item is not None:
            report.read += 1
        else:
            report.unchanged += 1

    async def _one(self, url: str, state: FileState | None, page: Address | None, part: Path) -> _Outcome:
        """Fetches one page to `part`. What is there already stays unless there is something better."""
        good = state is not None and state.failed is None
        page = page if good and state is not None and page is not None and page.hash == state.hash else None
        try:
            known = Validators(page.etag, page.modified) if page else Validators()
            fetched = await fetch(url, self._rules, known, part)
        except DocumentError as error:
            return self._failed(url, state, page, error)
        if fetched is None:
            return _Outcome(url, address=page and replace(page, reason=""))
        address = Address(url, fetched.hash, fetched.name, fetched.validators.etag,
                          fetched.validators.modified)  # fmt: skip
        if good and state is not None and state.hash == fetched.hash:
            return _Outcome(url, address=address)
        return _Outcome(url, address=address, before=page, fetched=fetched)

    async def _read(
        self, outcome: _Outcome, state: FileState | None, part: Path, parser: FileParser
    ) -> _Outcome:
        """The page as a document, where there is a new one; its content is kept from then on."""
        fetched = outcome.fetched
        if fetched is None:
            return outcome
        try:
            parsed = await parser.parse(part, fetched.name)
        except DocumentError as error:
            return self._failed(outcome.url, state, outcome.before, error)
        chunks = await asyncio.to_thread(chunk_document, parsed.document)
        await asyncio.to_thread(part.replace, self.folder / fetched.hash)
        facts = FileFacts(outcome.url, fetched.size, 0, fetched.hash, self._collection)
        return replace(outcome, item=EmbeddedDocument(facts, parsed.document, chunks, None))

    def _failed(
        self, url: str, state: FileState | None, page: Address | None, error: DocumentError
    ) -> _Outcome:
        """What was fetched before stays, with the reason beside it, unless the page is gone."""
        if state is not None and state.failed is None and error.kind != "gone":
            kept = page or Address(url, state.hash, "")
            return _Outcome(url, address=replace(kept, reason=str(error)), failed=str(error))
        facts = FileFacts(url, 0, 0, "", self._collection)
        item = EmbeddedDocument(facts, None, (), None, str(error), error.kind)
        return _Outcome(url, item, failed=str(error))

    async def _record(self, pages: Sequence[Address], done: Sequence[str] = ()) -> None:
        """What was learnt, and no content that no document has."""
        source = await self._index.source(self.location, self._collection)
        await self._index.within(addresses.put, source, pages)
        await self._index.within(jobs.end, source, done)
        wanted = await self._index.within(addresses.hashes, source)
        await asyncio.to_thread(_sweep, self.folder, wanted)


def _drop(parts: Iterable[Path]) -> None:
    for part in parts:
        part.unlink(missing_ok=True)


def _sweep(folder: Path, wanted: set[str]) -> None:
    for path in folder.iterdir():
        if path.name not in wanted and path.name != ".lock":
            path.unlink(missing_ok=True)
