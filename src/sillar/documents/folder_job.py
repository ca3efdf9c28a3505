"""A run over the files of a folder: parsed one after another while the chunks of those before are
embedded and stored.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sillar.documents.background import Background
from sillar.documents.chunk import ChunkSize, chunk_document
from sillar.documents.document import Document
from sillar.documents.ingest.limits import ParserLimits
from sillar.documents.ingest.parser import FileParser
from sillar.documents.progress import IndexProgress, IndexReport, Progress
from sillar.documents.store.jobs import Stage
from sillar.documents.store.protocol import EmbeddedDocument, FileFacts
from sillar.errors import DocumentError

if TYPE_CHECKING:
    from sillar.documents.index import Index

BATCH_CHUNKS = 64
FIRST_CHUNKS = 16
"""A batch where the encoder would have to wait for more."""


def chunked(
    documents: Iterable[tuple[str, Document]], size: ChunkSize | None, collection: str
) -> Iterator[list[EmbeddedDocument]]:
    """Documents by name, that did not come from files, in batches that are embedded together."""
    batch: list[EmbeddedDocument] = []
    chunks, begun = 0, False
    for name, document in documents:
        content = hashlib.sha256(document.text.encode("utf-8", "replace")).hexdigest()
        facts = FileFacts(name, len(document.text), 0, content, collection)
        batch.append(EmbeddedDocument(facts, document, chunk_document(document, size), None))
        chunks += len(batch[-1].chunks)
        if chunks >= (BATCH_CHUNKS if begun else FIRST_CHUNKS):
            yield batch
            batch, chunks, begun = [], 0, True
    if batch:
        yield batch


@dataclass(slots=True)
class FolderJob:
    """Reads files one after another while the chunks of the ones before are embedded, and those before
    them stored.
    """

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
                await self._advance([facts.path], "parsing")
                parsed = await parser.parse(self.root / facts.path)
                await self._advance([facts.path], "chunking")
                chunks = await asyncio.to_thread(chunk_document, parsed.document)
                item = EmbeddedDocument(replace(facts, hash=parsed.hash), parsed.document, chunks, None)
            except DocumentError as error:
                item = EmbeddedDocument(facts, None, (), None, str(error), error.kind)
            await queue.put(item)
        await queue.put(None)

    async def _advance(self, paths: Sequence[str], stage: Stage) -> None:
        await self.index.advance(self.source, paths, stage)

    async def _store(self, queue: asyncio.Queue[EmbeddedDocument | None]) -> None:
        pending: list[EmbeddedDocument] = []
        async with Background() as background:
            while (item := await queue.get()) is not None:
                pending.append(item)
                chunks = sum(len(one.chunks) for one in pending)
                idle = queue.empty() and chunks >= FIRST_CHUNKS
                if idle or chunks >= BATCH_CHUNKS or len(pending) >= 256:
                    await self._flush(pending, background)
                    pending = []
            if pending:
                await self._flush(pending, background)

    async def _flush(self, pending: Sequence[EmbeddedDocument], background: Background) -> None:
        advance = self._advance([item.facts.path for item in pending], "embedding")
        if background.busy:  # writes are in order: this one waits for the batch before to be stored
            background.add(advance)
        else:
            await advance
        embedded = await self.index.embed_chunks(pending)
        await background.done()
        background.add(self._save(embedded))

    async def _save(self, embedded: Sequence[EmbeddedDocument]) -> None:
        self.report.chunks += await self.index.save(self.source, embedded)
        for item in embedded:
            self.done += 1
            if item.failed is None:
                self.report.read += 1
            elif self.report.failed is not None:
                self.report.failed[item.facts.path] = item.failed
            if self.progress:
                self.progress(IndexProgress(self.done, self.total, item.facts.path, item.failed))
