"""Passages that only quote the question to send the reader elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from sillar.documents.answer import AnswerOptions, answer
from sillar.documents.references import without_references
from tests.documents.fakes import index_of

QUESTION = "How do I reset the big printer?"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Paper costs. See also How do I reset the big printer? or ask.", "Paper costs. See also ? or ask."),
        ("Ink (see Section 7.3, “How do I reset\nthe big printer?”).", "Ink (see Section 7.3, “?”)."),
        ('Use what faq8/"how do I reset the big printer" says.', 'Use what faq8/"" says.'),
    ],
)  # fmt: skip
def test_a_question_quoted_within_a_sentence_goes(text: str, left: str) -> None:
    assert without_references(text, QUESTION) == left


@pytest.mark.parametrize(
    "text",
    [
        "How do I reset the big printer?\nHold the red button.",
        "Q: How do I reset the big printer? A: Hold the red button.",
        "7.3. How do I reset the big printer? Hold the red button.",
        "Many ask us: “How do I reset the big printer?” Hold the red button.",
        "Nobody knows how do I reset the big printer today.",
        "Ask how to reset the big printer?",
        "",
    ],
)
def test_a_question_that_stands_for_itself_stays(text: str) -> None:
    assert without_references(text, QUESTION) is text


def test_questions_that_nobody_quotes_are_not_looked_for() -> None:
    for question in ("", "Why?", "(+" * 300, "word " * 500 + "?"):
        text = f"See also {question} for more."
        assert without_references(text, question) is text


async def test_the_answer_is_not_the_sentence_that_points_to_it(tmp_path: Path) -> None:
    passages = {
        "pointer": f"Paper lies in the cupboard. For the rest see Section 7, “{QUESTION}”, please.",
        "answer": "To reset the printer, hold its red button for ten seconds until the light goes out.",
        "other": "Bicycles stand behind the house, where a roof keeps the rain away from them.",
    }
    async with index_of(tmp_path / "i.db", passages) as index:
        found = await index.search(QUESTION, 3)
        result = await answer(QUESTION, index, None, AnswerOptions(style="quote", abstain=False))
    assert found[0].document == "answer"
    assert [passage.score for passage in found] == sorted((p.score for p in found), reverse=True)
    assert result.citations[0].document == "answer"
