"""The journal keeps tenants apart, groups gaps, and exports what a spreadsheet cannot run."""

import csv
import io

import numpy as np
import pytest

from sillar.documents.journal import DAY, Entry, Journal
from sillar.errors import RequestError


@pytest.fixture
def journal(tmp_path):
    journal = Journal(tmp_path / "journal.sqlite")
    yield journal
    journal.close()


def entry(question="How?", abstained=False, vector=None, **more):
    return Entry(question, "So [1].", abstained, 0.5, documents=["a.pdf"], vector=vector, **more)


def test_what_was_recorded_survives_a_restart(tmp_path):
    first = Journal(tmp_path / "j.sqlite")
    identity = first.record("t", entry())
    first.vote("t", identity, 1, "good")
    first.close()
    second = Journal(tmp_path / "j.sqlite")
    assert second.feedback("t")[0] | {"citations": []} == {
        "question": "How?",
        "language": "en",
        "answer": "So [1].",
        "abstained": False,
        "vote": 1,
        "comment": "good",
        "citations": [],
    }
    second.close()


def test_another_tenant_sees_and_changes_nothing(journal):
    identity = journal.record("mine", entry("canary"))
    journal.hand_off("mine", identity, "me@example.org", "")
    with pytest.raises(RequestError):
        journal.vote("theirs", identity, -1)
    with pytest.raises(RequestError):
        journal.hand_off("theirs", identity, "", "")
    assert journal.insights("theirs").questions == 0
    assert "canary" not in journal.tickets_csv("theirs")
    assert journal.feedback("theirs") == []


def test_insights_count_days_votes_and_time(journal):
    now = 1_000 * DAY + 10
    journal.record("t", entry(), now=now - 2 * DAY)
    journal.record("t", entry(abstained=True), now=now)
    voted = journal.record("t", entry(), now=now)
    journal.record("t", entry(), now=now - 40 * DAY)
    journal.vote("t", voted, -1)
    seen = journal.insights("t", days=30, now=now)
    assert (seen.questions, seen.answered, seen.abstained) == (3, 2, 1)
    assert (seen.votes_up, seen.votes_down, seen.median_seconds) == (0, 1, 0.5)
    assert len(seen.days) == 30
    assert (seen.days[-1].answered, seen.days[-1].abstained, seen.days[-3].answered) == (1, 1, 1)


def test_gaps_group_the_same_question_by_words_or_meaning(journal):
    near, far = np.array([1, 0], np.float32), np.array([0, 1], np.float32)
    journal.record("t", entry("Where is the key?", True, near))
    journal.record("t", entry("where is the key? ", True, near))
    journal.record("t", entry("Key location?", True, near))
    journal.record("t", entry("Who pays?", True, far))
    journal.record("t", entry("Answered.", False, near))
    gaps = journal.insights("t").gaps
    assert [(gap.question, gap.count) for gap in gaps] == [("Key location?", 3), ("Who pays?", 1)]
    assert gaps[0].documents == ["a.pdf"]


def test_tickets_carry_the_conversation_and_no_formula(journal):
    talk = [{"role": "user", "content": "before"}]
    identity = journal.record("t", entry("=HYPERLINK(1)", conversation=talk))
    ticket = journal.hand_off("t", identity, "+34 600", "@sum")
    assert ticket["conversation"] == talk
    rows = list(csv.reader(io.StringIO(journal.tickets_csv("t"))))
    assert [cell for row in rows[1:] for cell in row if cell.startswith(("=", "+", "-", "@"))] == []
    assert rows[1][2] == "'+34 600"
