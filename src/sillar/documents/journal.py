"""What was asked and what became of it: answers, votes, tickets, and the gaps that they show.

Kept in a SQLite file of its own beside the index, so that rebuilding an index loses no feedback.
Every row belongs to a tenant, and every query names one.
"""

from __future__ import annotations

import csv
import io
import json
import secrets
import sqlite3
import threading
import time
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sillar.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA = """
CREATE TABLE IF NOT EXISTS answers (
  id TEXT PRIMARY KEY, tenant TEXT NOT NULL, asked_at REAL NOT NULL, language TEXT NOT NULL,
  question TEXT NOT NULL, answer TEXT NOT NULL, abstained INTEGER NOT NULL, seconds REAL NOT NULL,
  documents TEXT NOT NULL, conversation TEXT NOT NULL, citations TEXT NOT NULL, vector BLOB,
  vote INTEGER NOT NULL DEFAULT 0, comment TEXT NOT NULL DEFAULT '');
CREATE INDEX IF NOT EXISTS answers_of_tenant ON answers (tenant, asked_at);
CREATE TABLE IF NOT EXISTS tickets (
  id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, answer TEXT NOT NULL REFERENCES answers (id),
  created_at REAL NOT NULL, contact TEXT NOT NULL, note TEXT NOT NULL);
"""

DAY = 86_400.0
SAME_QUESTION = 0.92
"""Cosine from which two questions ask for the same thing (multilingual-e5: unrelated ones lie near 0.8)."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One answered or refused question, as it is recorded."""

    question: str
    answer: str
    abstained: bool
    seconds: float
    language: str = "en"
    documents: Sequence[str] = ()
    """The documents closest to the question, best first."""
    citations: Sequence[dict[str, Any]] = ()
    conversation: Sequence[dict[str, str]] = ()
    vector: NDArray[np.float32] | None = None
    """The question's unit embedding, by which gaps are grouped."""


@dataclass(frozen=True, slots=True)
class Day:
    """Questions of one day, UTC."""

    day: str
    answered: int
    abstained: int


@dataclass(frozen=True, slots=True)
class Gap:
    """Questions that ask the same and were not answered, or were voted down."""

    question: str
    count: int
    documents: Sequence[str]


@dataclass(frozen=True, slots=True)
class Insights:
    """How a tenant's questions went."""

    questions: int
    answered: int
    abstained: int
    median_seconds: float
    votes_up: int
    votes_down: int
    days: Sequence[Day]
    gaps: Sequence[Gap]


class Journal:
    """The record of one installation. Thread-safe; every change is committed before its call returns."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, check_same_thread=False)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA foreign_keys=ON")
        self._db.executescript(SCHEMA)

    def close(self) -> None:
        """Closes the file; the journal cannot be used afterwards."""
        self._db.close()

    def record(self, tenant: str, entry: Entry, *, now: float | None = None) -> str:
        """Adds a question with its answer; returns an id that cannot be guessed."""
        identity = secrets.token_urlsafe(16)
        vector = None if entry.vector is None else entry.vector.astype(np.float16).tobytes()
        row = (
            identity,
            tenant,
            time.time() if now is None else now,
            entry.language,
            entry.question,
            entry.answer,
            entry.abstained,
            entry.seconds,
            json.dumps(list(entry.documents)),
            json.dumps(list(entry.conversation)),
            json.dumps(list(entry.citations)),
            vector,
        )
        with self._change() as db:
            db.execute(
                "INSERT INTO answers (id, tenant, asked_at, language, question, answer, abstained, seconds,"
                " documents, conversation, citations, vector) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
                row,
            )
        return identity

    def vote(self, tenant: str, answer: str, vote: int, comment: str = "") -> None:
        """Notes whether an answer helped: 1, -1, or 0 for neither. RequestError: no such answer here."""
        with self._change() as db:
            found = db.execute(
                "UPDATE answers SET vote = ?, comment = ? WHERE id = ? AND tenant = ?",
                (vote, comment, answer, tenant),
            )
            self._must_exist(found.rowcount)

    def hand_off(self, tenant: str, answer: str, contact: str, note: str) -> dict[str, Any]:
        """Makes a ticket of an answer: {id, question, answer, contact, note, conversation, citations}."""
        with self._change() as db:
            row = db.execute("SELECT * FROM answers WHERE id = ? AND tenant = ?", (answer, tenant)).fetchone()
            self._must_exist(row is not None)
            ticket = db.execute(
                "INSERT INTO tickets (tenant, answer, created_at, contact, note) VALUES (?,?,?,?,?)",
                (tenant, answer, time.time(), contact, note),
            )
        return {
            "id": ticket.lastrowid,
            "question": row["question"],
            "answer": row["answer"],
            "contact": contact,
            "note": note,
            "conversation": json.loads(row["conversation"]),
            "citations": json.loads(row["citations"]),
        }

    def insights(self, tenant: str, *, days: int = 30, now: float | None = None) -> Insights:
        """Figures of the last `days` days."""
        end = time.time() if now is None else now
        rows = self._rows(
            "SELECT * FROM answers WHERE tenant = ? AND asked_at > ? ORDER BY asked_at",
            (tenant, end - days * DAY),
        )
        abstained = sum(row["abstained"] for row in rows)
        return Insights(
            questions=len(rows),
            answered=len(rows) - abstained,
            abstained=abstained,
            median_seconds=float(np.median([row["seconds"] for row in rows])) if rows else 0.0,
            votes_up=sum(row["vote"] > 0 for row in rows),
            votes_down=sum(row["vote"] < 0 for row in rows),
            days=_by_day(rows, days, end),
            gaps=_gaps([row for row in rows if row["abstained"] or row["vote"] < 0]),
        )

    def tickets_csv(self, tenant: str) -> str:
        """All tickets as CSV; cells that a spreadsheet would run as formulas are quoted."""
        rows = self._rows(
            "SELECT t.id, t.created_at, t.contact, t.note, a.question, a.answer, a.documents FROM tickets t"
            " JOIN answers a ON a.id = t.answer WHERE t.tenant = ? ORDER BY t.id",
            (tenant,),
        )
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerow(["id", "created_at", "contact", "note", "question", "answer", "documents"])
        for row in rows:
            when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(row["created_at"]))
            texts = (row["contact"], row["note"], row["question"], row["answer"])
            documents = _cell(", ".join(json.loads(row["documents"])))
            writer.writerow([row["id"], when, *map(_cell, texts), documents])
        return out.getvalue()

    def feedback(self, tenant: str) -> list[dict[str, Any]]:
        """Voted answers as an evaluation set: question, answer, vote, comment, citations."""
        rows = self._rows("SELECT * FROM answers WHERE tenant = ? AND vote != 0 ORDER BY asked_at", (tenant,))
        return [
            {
                "question": row["question"],
                "language": row["language"],
                "answer": row["answer"],
                "abstained": bool(row["abstained"]),
                "vote": row["vote"],
                "comment": row["comment"],
                "citations": json.loads(row["citations"]),
            }
            for row in rows
        ]

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._db:
            yield self._db

    def _rows(self, query: str, values: tuple[object, ...]) -> list[sqlite3.Row]:
        with self._lock:
            return self._db.execute(query, values).fetchall()

    @staticmethod
    def _must_exist(found: object) -> None:
        if not found:
            raise RequestError("No such answer.")


def _cell(text: str) -> str:
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _by_day(rows: Sequence[sqlite3.Row], days: int, end: float) -> list[Day]:
    counts = {_day(end - back * DAY): [0, 0] for back in reversed(range(days))}
    for row in rows:
        counts.setdefault(_day(row["asked_at"]), [0, 0])[bool(row["abstained"])] += 1
    return [Day(day, *count) for day, count in counts.items()]


def _day(moment: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(moment))


def _gaps(rows: Sequence[sqlite3.Row], most: int = 50) -> list[Gap]:
    """Greedy groups: a question joins the first group whose leader asks the same."""
    leaders: list[tuple[sqlite3.Row, NDArray[np.float32] | None]] = []
    counts: list[int] = []
    for row in reversed(rows):  # the latest wording leads
        vector = (
            None if row["vector"] is None else np.frombuffer(row["vector"], np.float16).astype(np.float32)
        )
        for index, (leader, other) in enumerate(leaders):
            if _same(row["question"], vector, leader["question"], other):
                counts[index] += 1
                break
        else:
            leaders.append((row, vector))
            counts.append(1)
    order = sorted(range(len(leaders)), key=lambda i: -counts[i])[:most]
    return [
        Gap(leaders[i][0]["question"], counts[i], json.loads(leaders[i][0]["documents"])[:3]) for i in order
    ]


def _vector(row: sqlite3.Row) -> NDArray[np.float32] | None:
    stored = row["vector"]
    return None if stored is None else np.frombuffer(stored, np.float16).astype(np.float32)


def _same(
    question: str, vector: NDArray[np.float32] | None, other: str, other_vector: NDArray[np.float32] | None
) -> bool:
    if question.casefold().strip() == other.casefold().strip():
        return True
    if vector is None or other_vector is None or vector.shape != other_vector.shape:
        return False
    return float(vector @ other_vector) >= SAME_QUESTION
