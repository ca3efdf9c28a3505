"""The store's own figures: BM25 of given chunks as FTS5 has it, languages and vectors after every change."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluations.sets import as_documents
from sillar.documents.store import bm25
from sillar.documents.store.protocol import EVERYTHING, Access
from tests.documents.fakes import open_index

WORDS = ["disk", "printer", "kernel", "foo_bar", "año", "straße", "x1", "日本", "the"]
WEIGHTS = (0.5, 1.0, 0.6)
texts = st.lists(st.sampled_from(WORDS), max_size=30).map(" ".join)


@given(st.lists(st.tuples(texts, texts, texts), min_size=1, max_size=12), st.sets(st.sampled_from(WORDS)))
def test_scores_of_given_rows_are_those_of_fts5(rows: list[tuple[str, str, str]], asked: set[str]) -> None:
    connection = sqlite3.connect(":memory:")
    tokens = "unicode61 remove_diacritics 0 tokenchars '_'"
    connection.execute(f'CREATE VIRTUAL TABLE w USING fts5(a, b, c, tokenize = "{tokens}")')
    connection.executemany("INSERT INTO w VALUES (?, ?, ?)", rows)
    connection.execute("CREATE VIRTUAL TABLE v USING fts5vocab(w, row)")
    counts = dict(connection.execute("SELECT term, doc FROM v").fetchall())
    expected = {}
    if asked:
        match = " OR ".join(f'"{word}"' for word in asked)
        expected = dict(
            connection.execute("SELECT rowid, -bm25(w, ?, ?, ?) FROM w WHERE w MATCH ?", (*WEIGHTS, match))
        )
    wanted = {word: counts.get(word, 0) for word in asked}
    found = bm25.scores(connection, "w", list(range(1, len(rows) + 1)), wanted, WEIGHTS)
    assert found == pytest.approx(expected, rel=1e-9)


async def test_languages_and_vectors_follow_every_change(tmp_path: Path) -> None:
    english = {"a": "The printer is on the second floor.", "b": "The key is with the person at the desk."}
    spanish = {"c": "La impresora está en la segunda planta de la oficina."}
    async with open_index(tmp_path / "i.db") as index:
        await index.add_documents("en", as_documents(english), collection="english")
        assert index.store.languages() == ["en"]
        await index.add_documents("es", as_documents(spanish), collection="spanish")
        assert index.store.languages() == ["en", "es"]
        assert index.store.languages(Access(frozenset({"spanish"}))) == ["es"]
        assert {p.document for p in await index.search("printer impresora key", 5)} == {"a", "b", "c"}
        ids = {info.path: info.document_id for info in index.store.documents(EVERYTHING)}
        index.store.delete([ids["a"]])
        await index.add_documents("more", as_documents({"d": "The scanner is next to the door of it."}))
        vector = await index.embed_question("The scanner is next to the door")
        found = index.store.candidates([], vector, 9, EVERYTHING)
        passages = index.store.passages(found.ids.tolist(), EVERYTHING)
        assert sorted(passage.document for passage in passages.values()) == ["b", "c", "d"]
        assert passages[int(found.ids[np.argmax(found.similarity)])].document == "d"
