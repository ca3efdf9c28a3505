"""An index of any number of chunks, grown from a real one, so that words and vectors are plausible.

A grown chunk is the beginning of a real chunk and the end of one of its nearest neighbours in the same
language, cut between sentences. Words that the real index holds in a few chunks only (names, identifiers) are
renamed in most grown chunks: otherwise the vocabulary would stay that of the real one. Its vector is the two
parents' by their share of the text, plus Gaussian noise, unit length: near its relatives, equal to none.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import machine
from sillar.documents.document import Chunk, Document
from sillar.documents.interfaces import TextEmbedder
from sillar.documents.language import words
from sillar.documents.sentences import spans
from sillar.documents.store.protocol import EmbeddedDocument, FileFacts
from sillar.documents.store.sqlite import SqliteStore

_NEIGHBOURS = 24
_CHUNKS_A_DOCUMENT = 50
_DOCUMENTS_A_TRANSACTION = 40
_RARE = 3
"""A word in at most this many real chunks is renamed in grown ones, with probability _RENAMED."""
_RENAMED = 0.8
_NOISE = 0.25
"""Length of the noise before the vector is made unit length again: a cosine of .97 to the parents' mean."""
_WORD = re.compile(r"[^\W\d_]{4,}")


@dataclass(frozen=True, slots=True)
class RealChunks:
    """The chunks that others are grown from."""

    texts: Sequence[Sequence[str]]
    """The sentences of each."""
    headings: Sequence[tuple[str, ...]]
    languages: Sequence[str]
    vectors: NDArray[np.float32]
    """[chunks, dim], unit length."""
    near: NDArray[np.int64]
    """[chunks, _NEIGHBOURS]: the nearest of the same language."""
    rare: frozenset[str]


def read_real(path: Path) -> RealChunks:
    """What a real index holds."""
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
    rows = connection.execute("SELECT text, headings, language, vector FROM chunks ORDER BY id").fetchall()
    connection.close()
    vectors = np.stack([np.frombuffer(row[3], np.float16).astype(np.float32) for row in rows])
    languages = [str(row[2]) for row in rows]
    similarity = vectors @ vectors.T
    codes = np.unique(languages, return_inverse=True)[1]
    similarity[codes[:, None] != codes[None]] = -1.0
    np.fill_diagonal(similarity, -1.0)
    near = np.argsort(-similarity, axis=1)[:, :_NEIGHBOURS]
    counts = Counter(word for row in rows for word in set(words(row[0])))
    rare = frozenset(word for word, count in counts.items() if count <= _RARE and word.isalpha())
    sentences = [[row[0][start:end] for start, end in spans(row[0])] or [row[0]] for row in rows]
    headings = [tuple(json.loads(row[1])) for row in rows]
    return RealChunks(sentences, headings, languages, vectors, near, rare)


def grow(real: RealChunks, path: Path, embedder: TextEmbedder, count: int, seed: int = 0) -> None:
    """Writes an index of `count` chunks: all real ones first, then grown ones, round after round."""
    part = path.with_suffix(".part")
    part.parent.mkdir(parents=True, exist_ok=True)
    for old in (part, Path(f"{part}-wal"), Path(f"{part}-shm")):
        old.unlink(missing_ok=True)
    store = SqliteStore(part, embedder.fingerprint, embedder.dim)
    source = store.source(Path("/grown"))
    batch: list[EmbeddedDocument] = []
    for document in _documents(real, count, np.random.default_rng(seed)):
        batch.append(document)
        if len(batch) == _DOCUMENTS_A_TRANSACTION:
            store.put(source, batch)
            batch = []
            machine.log(f"{document.facts.path}: {store.counts().chunks:,} of {count:,} chunks")
    store.put(source, batch)
    store.close()
    part.rename(path)


def _documents(real: RealChunks, count: int, random: np.random.Generator) -> Iterator[EmbeddedDocument]:
    for first in range(0, count, _CHUNKS_A_DOCUMENT):
        numbers = range(first, min(count, first + _CHUNKS_A_DOCUMENT))
        chunks, vectors = zip(*(_chunk(real, number, random) for number in numbers), strict=True)
        name = f"grown/{first // _CHUNKS_A_DOCUMENT:06}.txt"
        document = Document("", (), title=chunks[0].headings[0] if chunks[0].headings else name)
        facts = FileFacts(name, 0, 0, name)
        yield EmbeddedDocument(facts, document, chunks, np.stack(vectors))


def _chunk(real: RealChunks, number: int, random: np.random.Generator) -> tuple[Chunk, NDArray[np.float32]]:
    """Chunk `number`: a real one in the first round, then grown ones."""
    round_, a = divmod(number, len(real.texts))
    if round_ == 0:
        text, vector = " ".join(real.texts[a]), real.vectors[a]
        return _as_chunk(text, real, a), vector
    b = int(random.choice(real.near[a]))
    share = float(random.choice([0.4, 0.5, 0.6, 0.7]))
    begin, end = real.texts[a], real.texts[b]
    parts = [*begin[: max(1, round(share * len(begin)))], *end[round(share * len(end)) :]]
    suffix = _letters(round_)

    def renamed(match: re.Match[str]) -> str:
        word = match[0]
        return word + suffix if word.lower() in real.rare and random.random() < _RENAMED else word

    text = _WORD.sub(renamed, " ".join(parts))
    noise = random.standard_normal(real.vectors.shape[1]).astype(np.float32)
    vector = share * real.vectors[a] + (1 - share) * real.vectors[b]
    vector = vector / np.linalg.norm(vector) + _NOISE * noise / np.linalg.norm(noise)
    return _as_chunk(text, real, a), np.asarray(vector / np.linalg.norm(vector), np.float32)


def _as_chunk(text: str, real: RealChunks, parent: int) -> Chunk:
    return Chunk(text, 0, len(text), real.headings[parent], None, None, None, real.languages[parent])


def _letters(number: int) -> str:
    """A suffix of letters, so that a renamed word is still a word."""
    letters = ""
    while number:
        number, digit = divmod(number, 26)
        letters += chr(ord("a") + digit)
    return letters
