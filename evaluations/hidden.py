"""Takes passages out of an index for a while: what makes a question unanswerable."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

from evaluations.sets import QuestionSet, as_documents
from sillar.documents.index import Index
from sillar.documents.store.protocol import EVERYTHING


@asynccontextmanager
async def hidden(index: Index, questions: QuestionSet, names: Collection[str]) -> AsyncIterator[None]:
    """Without the set's passages `names`, which come back at the end."""
    known = await index.read(index.store.documents, EVERYTHING)
    await index.read(index.store.delete, [info.document_id for info in known if info.path in names])
    try:
        yield
    finally:
        passages = {name: questions.passages[name] for name in names}
        await index.add_documents(questions.name, as_documents(passages))
