"""What was asked and what became of it: answers, votes, tickets, and the gaps that they show.

Kept in a SQLite file of its own beside the index, so that rebuilding an index loses no feedback.
Every row belongs to a tenant, and every query names one.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sillar.documents.gaps import Gap, Unanswered, find_gaps
from sillar.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA = """
CREATE TABLE IF NOT EXISTS answers (
  id TEXT PRIMARY KEY, tenant TEXT NOT NULL, asked_at REAL NOT NULL, language TEXT NOT NULL,
  question TEXT NOT NULL, answer TEXT NOT NULL, abstained INTEGER NOT NULL, seconds REAL NOT NULL,
  documents TEXT NOT NULL, conversation TEXT NOT NULL, citations TEXT NOT NULL, vector BLOB,
  vote INTEGER NOT NULL DEFAULT 0, comment TEXT NOT NULL DEFAULT '', passages TEXT NOT NULL DEFAULT '[]');
CREATE INDEX IF NOT EXISTS answers_of_tenant ON answers (tenant, asked_at);
CREATE TABLE IF NOT EXISTS tickets (
  id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, answer TEXT NOT NULL REFERENCES answers (id),
  created_at REAL NOT NULL, contact TEXT NOT NULL, note TEXT NOT NULL);
"""

DAY = 86_400.0


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
    passages: Sequence[dict[str, Any]] = ()
    """What was found: {document, page, section, text}; a person who takes over sees it."""


@dataclass(frozen=True, slots=True)
class Day:
    """Questions of one day, UTC."""

    day: str
    answered: int
    abstained: int
    median_seconds: float
    slow_seconds: float
    """The 95th percentile."""


@dataclass(frozen=True, slots=True)
class Insights:
    """How a tenant's questions went."""

    questions: int
    answered: int
    abstained: int
    median_seconds: float
    slow_seconds: float
    """The 95th percentile."""
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
        if "passages" not in {row["name"] for row in self._db.execute("PRAGMA table_info(answers)")}:
            self._db.execute("ALTER TABLE answers ADD COLUMN passages TEXT NOT NULL DEFAULT '[]'")

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
            json.dumps(list(entry.passages)),
        )
        with self.change() as db:
            db.execute(
                "INSERT INTO answers (id, tenant, asked_at, language, question, answer, abstained, seconds,"
                " documents, conversation, citations, vector, passages) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
                row,
            )
        return identity

    def vote(self, tenant: str, answer: str, vote: int, comment: str = "") -> None:
        """Notes whether an answer helped: 1, -1, or 0 for neither. RequestError: no such answer here."""
        with self.change() as db:
            found = db.execute(
                "UPDATE answers SET vote = ?, comment = ? WHERE id = ? AND tenant = ?",
                (vote, comment, answer, tenant),
            )
            self._must_exist(found.rowcount)

    def suggestions(self, tenant: str, most: int = 4) -> list[str]:
        """Questions that were answered and not voted down: the best voted, then the latest."""
        rows = self.rows(
            "SELECT question FROM answers WHERE tenant = ? AND abstained = 0 AND vote >= 0 AND"
            " conversation = '[]' AND length(question) BETWEEN 8 AND 200"
            " GROUP BY lower(trim(question)) ORDER BY max(vote) DESC, max(asked_at) DESC LIMIT ?",
            (tenant, most),
        )
        return [row["question"] for row in rows]

    def insights(
        self,
        tenant: str,
        *,
        days: int = 30,
        now: float | None = None,
        usual: Mapping[str, NDArray[np.float32]] | None = None,
    ) -> Insights:
        """Figures of the last `days` days. `usual`: gaps.usual_directions of the questions' embedder."""
        end = time.time() if now is None else now
        rows = self.rows(
            "SELECT * FROM answers WHERE tenant = ? AND asked_at > ? ORDER BY asked_at",
            (tenant, end - days * DAY),
        )
        abstained = sum(row["abstained"] for row in rows)
        unanswered = [row for row in reversed(rows) if row["abstained"] or row["vote"] < 0]
        median, slow = _seconds(rows)
        return Insights(
            questions=len(rows),
            answered=len(rows) - abstained,
            abstained=abstained,
            median_seconds=median,
            slow_seconds=slow,
            votes_up=sum(row["vote"] > 0 for row in rows),
            votes_down=sum(row["vote"] < 0 for row in rows),
            days=_by_day(rows, days, end),
            gaps=find_gaps([_unanswered(row) for row in unanswered], usual or {}),
        )

    def feedback(self, tenant: str) -> list[dict[str, Any]]:
        """Voted answers as an evaluation set: question, answer, vote, comment, citations."""
        rows = self.rows("SELECT * FROM answers WHERE tenant = ? AND vote != 0 ORDER BY asked_at", (tenant,))
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

    def question_set(self, tenant: str, language: str) -> dict[str, Any]:
        """Helpful answers as a question set for `python -m evaluations.retrieval`, with all passages seen.

        {name, lang, passages: [{id, text}], queries: [{q, gold: [id], answer}]}; gold are the passages that
        a citation quotes.
        """
        rows = self.rows(
            "SELECT * FROM answers WHERE tenant = ? AND language = ? ORDER BY asked_at", (tenant, language)
        )
        passages: dict[str, str] = {}
        queries = []
        for row in rows:
            seen = {_passage_id(passage): passage for passage in json.loads(row["passages"])}
            passages |= {identity: passage["text"] for identity, passage in seen.items()}
            cited = json.loads(row["citations"])
            gold = [i for i, p in seen.items() if any(_quotes(citation, p) for citation in cited)]
            if row["vote"] > 0 and not row["abstained"] and gold:
                queries.append({"q": row["question"], "gold": gold, "answer": cited[0]["quote"]})
        listed = [{"id": identity, "text": text} for identity, text in passages.items()]
        return {"name": f"feedback-{language}", "lang": language, "passages": listed, "queries": queries}

    @contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """One transaction."""
        with self._lock, self._db:
            yield self._db

    def rows(self, query: str, values: tuple[object, ...]) -> list[sqlite3.Row]:
        """What a query finds."""
        with self._lock:
            return self._db.execute(query, values).fetchall()

    @staticmethod
    def _must_exist(found: object) -> None:
        if not found:
            raise RequestError("No such answer.")


def _passage_id(passage: dict[str, Any]) -> str:
    return sha256(f"{passage['document']}\n{passage['text']}".encode()).hexdigest()[:16]


def _quotes(citation: dict[str, Any], passage: dict[str, Any]) -> bool:
    return citation["document"] == passage["document"] and citation["quote"] in passage["text"]


def _by_day(rows: Sequence[sqlite3.Row], days: int, end: float) -> list[Day]:
    of_day: dict[str, list[sqlite3.Row]] = {_day(end - back * DAY): [] for back in reversed(range(days))}
    for row in rows:
        of_day.setdefault(_day(row["asked_at"]), []).append(row)
    return [
        Day(day, len(asked) - (refused := sum(row["abstained"] for row in asked)), refused, *_seconds(asked))
        for day, asked in of_day.items()
    ]


def _seconds(rows: Sequence[sqlite3.Row]) -> tuple[float, float]:
    """Median and 95th percentile of the answers' times; zeros without any."""
    if not rows:
        return 0.0, 0.0
    median, slow = np.percentile([row["seconds"] for row in rows], [50, 95])
    return float(median), float(slow)


def _day(moment: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(moment))


def _unanswered(row: sqlite3.Row) -> Unanswered:
    stored = row["vector"]
    vector = None if stored is None else np.frombuffer(stored, np.float16).astype(np.float32)
    return Unanswered(row["question"], row["language"], vector, json.loads(row["documents"]))
