"""Questions in words of their own are asked again in the documents' words before they are refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sillar.documents.answer import Answer, AnswerOptions, answer
from sillar.documents.conversation import Turn
from sillar.documents.index import Index
from sillar.documents.near_words import in_words_of
from sillar.documents.store.protocol import Access
from tests.documents.fakes import index_of

PASSAGES = {
    "delivery": "Standard delivery to the island takes four days.",
    "garage": "The garage of the house has room for two bicycles.",
    "canteen": "Soup is served at noon.",
}


@pytest.fixture
async def index(tmp_path: Path) -> AsyncIterator[Index]:
    async with index_of(tmp_path / "i.db", PASSAGES) as index:
        yield index


async def quote(index: Index, question: str, history: tuple[Turn, ...] = ()) -> Answer:
    return await answer(question, index, None, AnswerOptions(style="quote"), history=history)


async def test_a_near_word_answers_where_the_own_one_is_not_said(index: Index) -> None:
    result = await quote(index, "How many days takes standard shipping to the island?")
    assert not result.abstained
    assert result.citations[0].document == "delivery"
    assert result.asked == "How many days takes standard shipping to the island?"


async def test_what_no_near_word_answers_stays_refused(index: Index) -> None:
    for question in ("Is there a gym for the staff?", "How much is shipping to Canada by plane, please?"):
        assert (await quote(index, question)).abstained


async def test_what_may_not_be_read_is_not_found_by_other_words_either(index: Index) -> None:
    options = AnswerOptions(style="quote")
    question = "How many days takes standard shipping to the island?"
    result = await answer(question, index, None, options, Access(frozenset({"other"})))
    assert result.abstained
    assert not result.passages


@pytest.mark.parametrize(
    ("question", "text", "language", "wording"),
    [
        ("How long does shipping take?", "Delivery takes a day.", "en", "How long does delivery take?"),
        ("Can I send it back?", "Goods may be returned.", "en", "Can I returned?"),
        ("¿Dejo mi COCHE, por favor?", "Hay aparcamiento.", "es", "¿Dejo mi aparcamiento, por favor?"),
        ("How long does delivery take?", "Delivery takes a day.", "en", None),
        ("Where is the moon?", "Delivery takes a day.", "en", None),
        ("How long does shipping take?", "Delivery takes a day.", "de", None),
        ("", "Delivery takes a day.", "en", None),
    ],
)  # fmt: skip
def test_words_are_taken_from_the_text(question: str, text: str, language: str, wording: str | None) -> None:
    assert in_words_of(question, text, language) == wording
