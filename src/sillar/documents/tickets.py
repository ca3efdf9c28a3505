"""Questions handed to a person: tickets with conversation and passages, and which still have to be sent.

A ticket and its entry in the outbox are one transaction of the journal's file, so neither is lost without
the other; what was not delivered when the process died is due again at the next start.
"""

from __future__ import annotations

import csv
import io
import json
import sqlite3
import time
from dataclasses import dataclass
from typing import Any

from sillar.documents.journal import Journal
from sillar.errors import RequestError

SCHEMA = """
CREATE TABLE IF NOT EXISTS deliveries (
  ticket INTEGER PRIMARY KEY REFERENCES tickets (id), state TEXT NOT NULL, attempts INTEGER NOT NULL,
  due REAL NOT NULL, error TEXT NOT NULL);
"""
_COLUMNS = (
    "SELECT t.id, t.tenant, t.created_at, t.contact, t.note, a.question, a.answer, a.language, a.abstained,"
    " a.vote, a.comment, a.documents, a.conversation, a.citations, a.passages, d.state, d.attempts, d.error"
    " FROM tickets t JOIN answers a ON a.id = t.answer LEFT JOIN deliveries d ON d.ticket = t.id"
)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A ticket that is due to be sent, and how often that was tried."""

    ticket: dict[str, Any]
    attempts: int


class Tickets:
    """The tickets of a journal, in the same file."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        with journal.change() as db:
            db.executescript(SCHEMA)

    def hand_off(
        self, tenant: str, answer: str, contact: str, note: str, *, deliver: bool = False
    ) -> dict[str, Any]:
        """Makes a ticket of an answer; a second time it changes that ticket and sends it again.

        Raises RequestError where the tenant has no such answer.
        """
        with self._journal.change() as db:
            if not db.execute(
                "SELECT 1 FROM answers WHERE id = ? AND tenant = ?", (answer, tenant)
            ).fetchone():
                raise RequestError("No such answer.")
            known = db.execute("SELECT id FROM tickets WHERE answer = ?", (answer,)).fetchone()
            if known is None:
                values = (tenant, answer, time.time(), contact, note)
                ticket = db.execute(
                    "INSERT INTO tickets (tenant, answer, created_at, contact, note) VALUES (?,?,?,?,?)",
                    values,
                ).lastrowid
            else:
                ticket = known["id"]
                db.execute("UPDATE tickets SET contact = ?, note = ? WHERE id = ?", (contact, note, ticket))
            if deliver:
                db.execute("INSERT OR REPLACE INTO deliveries VALUES (?, 'waiting', 0, 0, '')", (ticket,))
            row = db.execute(f"{_COLUMNS} WHERE t.id = ?", (ticket,)).fetchone()
        return _ticket(row)

    def latest(self, tenant: str, most: int = 200) -> list[dict[str, Any]]:
        """The tenant's latest tickets, newest first."""
        rows = self._journal.rows(f"{_COLUMNS} WHERE t.tenant = ? ORDER BY t.id DESC LIMIT ?", (tenant, most))
        return [_ticket(row) | {"delivery": _delivery(row)} for row in rows]

    def csv(self, tenant: str) -> str:
        """All tickets of the tenant; cells that a spreadsheet would run as formulas are quoted."""
        rows = self._journal.rows(f"{_COLUMNS} WHERE t.tenant = ? ORDER BY t.id", (tenant,))
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerow(_CSV)
        for row in rows:
            ticket = _ticket(row)
            talk = [f"{turn['role']}: {turn['content']}" for turn in ticket["conversation"]]
            cells = {
                **ticket,
                "documents": ", ".join(ticket["documents"]),
                "conversation": "\n".join(talk),
                "passages": "\n\n".join(f"{p['document']}: {p['text']}" for p in ticket["passages"]),
            }
            writer.writerow([_cell(cells[name]) for name in _CSV])
        return out.getvalue()

    def due(self, now: float, most: int = 20) -> list[Delivery]:
        """What has to be sent now, the longest due first."""
        rows = self._journal.rows(
            f"{_COLUMNS} WHERE d.state = 'waiting' AND d.due <= ? ORDER BY d.due LIMIT ?", (now, most)
        )
        return [Delivery(_ticket(row) | {"tenant": row["tenant"]}, row["attempts"]) for row in rows]

    def next_due(self) -> float | None:
        """Unix time at which the next ticket is due."""
        [row] = self._journal.rows("SELECT min(due) AS due FROM deliveries WHERE state = 'waiting'", ())
        return None if row["due"] is None else float(row["due"])

    def delivered(self, ticket: int) -> None:
        """Notes that it has arrived."""
        self._note(ticket, "delivered", 0.0, "")

    def not_delivered(self, ticket: int, error: str, again: float | None) -> None:
        """Notes a failure, and when to try again (Unix time); None: never."""
        self._note(ticket, "failed" if again is None else "waiting", again or 0.0, error[:300])

    def retry(self, tenant: str, ticket: int) -> None:
        """Sends a ticket that had been given up once more. Raises RequestError where there is none."""
        with self._journal.change() as db:
            found = db.execute(
                "UPDATE deliveries SET state = 'waiting', attempts = 0, due = 0 WHERE ticket = ? AND"
                " state = 'failed' AND ticket IN (SELECT id FROM tickets WHERE tenant = ?)",
                (ticket, tenant),
            )
            if not found.rowcount:
                raise RequestError("No such ticket waits to be sent again.")

    def _note(self, ticket: int, state: str, due: float, error: str) -> None:
        with self._journal.change() as db:
            db.execute(
                "UPDATE deliveries SET state = ?, due = ?, error = ?, attempts = attempts + 1"
                " WHERE ticket = ?",
                (state, due, error, ticket),
            )


_TEXTS = ("question", "answer", "language", "vote", "comment", "contact", "note")
_LISTS = ("documents", "conversation", "citations", "passages")
_CSV = ("id", "created_at", "contact", "note", "question", "answer", "abstained", "vote", "comment",
        "documents", "conversation", "passages")  # fmt: skip


def _ticket(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "created_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(row["created_at"])),
        **{name: row[name] for name in _TEXTS},
        "abstained": bool(row["abstained"]),
        **{name: json.loads(row[name]) for name in _LISTS},
    }  # fmt: skip


def _delivery(row: sqlite3.Row) -> dict[str, Any] | None:
    if row["state"] is None:
        return None
    return {"state": row["state"], "attempts": row["attempts"], "error": row["error"]}


def _cell(value: object) -> str:
    text = str(value)
    is_number = isinstance(value, int)
    return f"'{text}" if not is_number and text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
