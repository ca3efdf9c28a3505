"""What is read back from the embedded store: documents as they were put there without their blocks and
vectors, their texts and sections, passages.
"""

from __future__ import annotations

import json
import os
import sqlite3
import zlib
from collections.abc import Sequence
from typing import Any

from sillar.documents.document import Chunk, Document, Passage, Place, locate
from sillar.documents.store.protocol import EmbeddedDocument, FileFacts, Section

_DOCUMENT = """
SELECT d.id, d.title, d.media_type, d.size, d.mtime_ns, d.hash, d.reason, d.kind, d.notes, d.text,
       d.collection
FROM documents d JOIN sources s ON s.id = d.source_id WHERE s.location = ? AND d.path = ?
"""
PASSAGE = """
SELECT c.id, c.document_id, d.path, d.title, c.headings, c.text, c.start, c.stop, c.places, c.language,
       c.ordinal
FROM chunks c JOIN documents d ON d.id = c.document_id
"""
_SECTIONS = """
SELECT start, stop, headings, places FROM chunks WHERE document_id = ? ORDER BY ordinal
"""
_CHUNKS = """
SELECT text, start, stop, headings, places, language
FROM chunks WHERE document_id = ? ORDER BY ordinal
"""


def load_document(connection: sqlite3.Connection, location: str, path: str) -> EmbeddedDocument:
    """The document at a path of a source. KeyError when there is none."""
    row = connection.execute(_DOCUMENT, (location, os.fsencode(path))).fetchone()
    if row is None:
        raise KeyError(path)
    facts = FileFacts(path, row[3], row[4], row[5], row[10])
    if row[6] is not None:
        return EmbeddedDocument(facts, None, (), None, row[6], row[7])
    text = zlib.decompress(row[9]).decode("utf-8") if row[9] else ""
    document = Document(text, (), row[1], row[2], notes=tuple(json.loads(row[8])))
    chunks = [_chunk(cells) for cells in connection.execute(_CHUNKS, (row[0],))]
    return EmbeddedDocument(facts, document, chunks, None)


def load_text(connection: sqlite3.Connection, document_id: int) -> str:
    """The canonical text of a document; "" where there is none."""
    row = connection.execute("SELECT text FROM documents WHERE id = ?", (document_id,)).fetchone()
    return zlib.decompress(row[0]).decode("utf-8") if row and row[0] else ""


def load_sections(connection: sqlite3.Connection, document_id: int) -> list[Section]:
    """The sections of a document in its order: chunks in a row under the same headings together."""
    sections: list[Section] = []
    for start, end, headings, places in connection.execute(_SECTIONS, (document_id,)):
        path = tuple(json.loads(headings))
        page, last_page, _ = locate(_places(places), start, end)
        if sections and sections[-1].headings == path:
            before = sections[-1]
            sections[-1] = Section(path, before.start, max(before.end, end), before.page, last_page)
        else:
            sections.append(Section(path, start, end, page, last_page))
    return sections


def _chunk(cells: tuple[Any, ...]) -> Chunk:
    return Chunk(cells[0], cells[1], cells[2], tuple(json.loads(cells[3])), _places(cells[4]), cells[5])


def _places(cell: str) -> tuple[Place, ...]:
    return tuple(
        Place(offset, page, (first, last) if first else None)
        for offset, page, first, last in json.loads(cell)
    )


def places_cell(places: Sequence[Place]) -> str:
    """Places as a chunk's row keeps them."""
    return json.dumps([[offset, page, *(lines or (None, None))] for offset, page, lines in places])


def passage_of(row: Sequence[Any]) -> Passage:
    """The passage of a row of PASSAGE, without scores."""
    return Passage(
        chunk_id=row[0], document_id=row[1], document=os.fsdecode(row[2]), title=row[3],
        headings=tuple(json.loads(row[4])), text=row[5], start=row[6], end=row[7], places=_places(row[8]),
        language=row[9], score=0.0, similarity=0.0, bm25=0.0,
    )  # fmt: skip
