"""A document read back from the embedded store as it was put there, without its blocks and vectors."""

from __future__ import annotations

import json
import os
import sqlite3
import zlib
from typing import Any

from sillar.documents.document import Chunk, Document
from sillar.documents.store.protocol import EmbeddedDocument, FileFacts

_DOCUMENT = """
SELECT d.id, d.title, d.media_type, d.size, d.mtime_ns, d.hash, d.reason, d.kind, d.notes, d.text,
       d.collection
FROM documents d JOIN sources s ON s.id = d.source_id WHERE s.location = ? AND d.path = ?
"""
_CHUNKS = """
SELECT text, start, stop, headings, page, last_page, first_line, last_line, language
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


def _chunk(cells: tuple[Any, ...]) -> Chunk:
    lines = (cells[6], cells[7]) if cells[6] is not None else None
    return Chunk(
        cells[0], cells[1], cells[2], tuple(json.loads(cells[3])), cells[4], cells[5], lines, cells[8]
    )
