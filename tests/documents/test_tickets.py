"""Tickets: one an answer, the tenant's own, exported without formulas; an outbox that outlives a restart."""

import csv
import io

import pytest

from sillar.documents.journal import Entry, Journal
from sillar.documents.tickets import Tickets
from sillar.errors import RequestError


@pytest.fixture
def journal(tmp_path):
    journal = Journal(tmp_path / "journal.sqlite")
    yield journal
    journal.close()


def asked(journal, question="How?", **more):
    return journal.record("t", Entry(question, "So [1].", False, 0.5, documents=["a.pdf"], **more))


def test_a_ticket_carries_the_conversation_and_the_passages_and_its_export_no_formula(journal):
    tickets = Tickets(journal)
    talk = [{"role": "user", "content": "before"}]
    found = [{"document": "a.pdf", "page": 1, "section": "", "text": "It is so."}]
    ticket = tickets.hand_off(
        "t", asked(journal, "=HYPERLINK(1)", conversation=talk, passages=found), "+34", "@sum"
    )
    assert (ticket["conversation"], ticket["passages"], ticket["documents"]) == (talk, found, ["a.pdf"])
    rows = list(csv.reader(io.StringIO(tickets.csv("t"))))
    assert [cell for row in rows[1:] for cell in row if cell.startswith(("=", "+", "-", "@"))] == []
    assert rows[1][2] == "'+34"
    assert "user: before" in rows[1]


def test_another_tenant_sees_and_changes_no_ticket(journal):
    tickets = Tickets(journal)
    answer = asked(journal, "canary")
    ticket = tickets.hand_off("t", answer, "", "", deliver=True)
    tickets.not_delivered(ticket["id"], "HTTP 400", None)
    with pytest.raises(RequestError):
        tickets.hand_off("theirs", answer, "", "")
    with pytest.raises(RequestError):
        tickets.retry("theirs", ticket["id"])
    assert tickets.latest("theirs") == []
    assert "canary" not in tickets.csv("theirs")


def test_handing_on_twice_changes_the_one_ticket_and_sends_it_again(journal):
    tickets = Tickets(journal)
    answer = asked(journal)
    first = tickets.hand_off("t", answer, "a", "", deliver=True)
    tickets.delivered(first["id"])
    second = tickets.hand_off("t", answer, "b", "more", deliver=True)
    assert second["id"] == first["id"]
    assert [d.ticket["note"] for d in tickets.due(0.0)] == ["more"]


def test_what_is_due_survives_a_restart_and_ends_when_delivered_or_given_up(tmp_path):
    first = Journal(tmp_path / "j.sqlite")
    ids = [Tickets(first).hand_off("t", asked(first), "", str(n), deliver=True)["id"] for n in range(3)]
    first.close()
    second = Journal(tmp_path / "j.sqlite")
    tickets = Tickets(second)
    assert [d.ticket["id"] for d in tickets.due(1.0)] == ids
    tickets.delivered(ids[0])
    tickets.not_delivered(ids[1], "HTTP 400", None)
    tickets.not_delivered(ids[2], "HTTP 500", 50.0)
    assert tickets.due(1.0) == []
    assert tickets.next_due() == 50.0
    [again] = tickets.due(50.0)
    assert (again.ticket["id"], again.attempts) == (ids[2], 1)
    states = {t["id"]: t["delivery"]["state"] for t in tickets.latest("t")}
    assert list(states.values()) == ["waiting", "failed", "delivered"]
    tickets.retry("t", ids[1])
    assert [d.ticket["id"] for d in tickets.due(1.0)] == [ids[1]]
    second.close()
