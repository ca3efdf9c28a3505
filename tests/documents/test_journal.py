"""The journal keeps tenants apart, groups gaps, and exports what a spreadsheet cannot run."""

import json
import sqlite3

import numpy as np
import pytest

from evaluations.sets import load_set
from sillar.documents.journal import DAY, SCHEMA, Entry, Journal
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
    with pytest.raises(RequestError):
        journal.vote("theirs", identity, -1)
    assert journal.insights("theirs").questions == 0
    assert journal.suggestions("theirs") == []
    assert journal.question_set("theirs", "en")["queries"] == []
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


def test_suggestions_are_what_was_answered_the_best_voted_first(journal):
    for question, abstained, vote in (
        ("What is new?", False, 0),
        ("Who pays the king?", True, 0),
        ("How long is it?", False, 1),
        ("Why is it so?", False, -1),
        ("what is new? ", False, 0),
        ("And there?", False, 0),
    ):
        talk = [{"role": "user", "content": "before"}] if question == "And there?" else []
        identity = journal.record("t", entry(question, abstained, conversation=talk))
        journal.vote("t", identity, vote)
    assert [q.strip().lower() for q in journal.suggestions("t")] == ["how long is it?", "what is new?"]


def test_helpful_answers_become_a_question_set_that_the_evaluations_read(journal, tmp_path):
    passages = [{"document": "a.pdf", "text": "One. Two pays."}, {"document": "b.pdf", "text": "Three."}]
    cited = [{"document": "a.pdf", "quote": "Two pays."}]
    helpful = journal.record("t", entry("Who pays?", passages=passages, citations=cited))
    journal.record("t", entry("Not voted?", passages=passages, citations=cited))
    journal.vote("t", helpful, 1)
    path = tmp_path / "set.json"
    path.write_text(json.dumps(journal.question_set("t", "en")))
    read = load_set(path)
    [query] = read.queries
    assert (query.text, query.answers) == ("Who pays?", ("Two pays.",))
    assert [read.passages[gold] for gold in query.gold] == ["One. Two pays."]
    assert len(read.passages) == 2


def test_an_older_journal_is_brought_up_to_date(tmp_path):
    old = sqlite3.connect(tmp_path / "j.sqlite")
    old.executescript(SCHEMA.replace(", passages TEXT NOT NULL DEFAULT '[]'", ""))
    old.close()
    journal = Journal(tmp_path / "j.sqlite")
    journal.record("t", entry(passages=[{"document": "a", "text": "b"}]))
    journal.close()
