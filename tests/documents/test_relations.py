"""A sentence about the same name that tells something else than what is asked is no answer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from evaluations.everyday import Asked, questions, sets, verdict
from sillar.documents.answer import Answer, AnswerOptions, answer
from sillar.documents.relations import relation_check, shares_only_names
from sillar.documents.support import Sentence, fits
from tests.documents.fakes import index_of


@pytest.mark.parametrize(
    ("question", "tells", "other", "language"),
    [
        ("When was Anna born?", "Anna came into the world by birth in 1980.", "Anna joined in 2014.", "en"),
        ("When did Anna die?", "Anna passed away in 2010.", "Anna retired in 1994.", "en"),
        ("How old is Paul?", "Paul is a man of 43 years, born in May.", "Paul drew it in 2008.", "en"),
        ("How much is the fee for Oslo?", "Oslo: 5 €", "Oslo is open on Mondays.", "en"),
        ("Who founded Nordglas?", "Ida set up Nordglas.", "Nordglas is by the sea.", "en"),
        ("¿Cuándo nació Ana?", "El nacimiento de Ana fue en 1980.", "Ana dirige el centro desde 2017.", "es"),
        ("¿Cuándo se jubiló Ana?", "La jubilación de Ana llegó en 2020.", "Ana nació en 1960.", "es"),
        ("When was Emil born?", "Emil Brandt (1920-1994), engineer.", "Emil Brandt (in Kiel).", "en"),
        ("When did Anna die?", "Anna's life:", "Anna's life.", "en"),
    ],
)
def test_near_forms_tell_what_is_asked(question: str, tells: str, other: str, language: str) -> None:
    check = relation_check(question)
    assert check is not None
    assert check(tells, language)
    assert not check(other, language)


@pytest.mark.parametrize(
    "question", ["What is the Harbour lamp?", "Where can keys be found?", "¿Qué es un paquete?", ""]
)
def test_what_asks_for_nothing_listed_is_not_judged(question: str) -> None:
    assert relation_check(question) is None


@pytest.mark.parametrize(
    ("question", "text", "only"),
    [
        ("When was Anna Keller born?", "Anna Keller joined in 2014.", True),
        ("when was anna keller born?", "In 2014 Anna Keller joined.", True),
        ("When was the library of Oslo built?", "The library stands in Oslo.", False),
        ("¿Cuándo murió Ana Gil?", "Se jubiló en 2016.", True),
        ("¿Cuándo murió la reina Ana?", "Ana fue reina desde 1702.", False),
        ("Lamps of Oslo: who designed them?", "A lamp from Oslo.", False),
    ],
)
def test_names_are_told_from_other_words(question: str, text: str, only: bool) -> None:
    assert shares_only_names(question, text, "es" if "¿" in question else "en") is only


async def test_another_event_of_the_same_name_is_refused(tmp_path: Path) -> None:
    passages = {"anna": "Anna Keller joined the firm in 2014.", "dog": "A dog was seen here in 2011."}
    options = AnswerOptions(style="quote")
    async with index_of(tmp_path / "i.db", passages) as index:
        joined = await answer("When was Anna Keller hired?", index, None, options)
        born = await answer("When was Anna Keller born?", index, None, options)
    assert joined.support > 100 * born.support
    assert born.abstained


async def test_names_of_another_language_do_not_make_a_sentence_one_of_it(tmp_path: Path) -> None:
    text = "Los Angeles Rams, Los Angeles Kings and Las Vegas Raiders are teams of the south."
    question = "¿Dónde murió el dueño de Los Angeles Rams?"
    async with index_of(tmp_path / "i.db", {"teams": text}) as index:
        passages = await index.search(question, 1)
    taken_for_spanish = replace(passages[0], language="es")
    assert fits(question, Sentence(taken_for_spanish, 0, len(text)))


@pytest.mark.parametrize("half", ["dev", "test", "later"])
def test_every_right_answer_stands_in_one_document(half: str) -> None:
    for data in sets(half):
        asked = list(questions(data))
        assert len({one.text for one in asked}) == len(asked) >= 26
        for one in asked:
            holding = [text for text in data["documents"].values() if one.holds and one.holds in text]
            assert bool(holding) == (one.holds is not None)


def test_verdicts() -> None:
    answered, refused = Answer("In 2014. [1]"), Answer("", abstained=True)
    assert verdict(Asked("?", "events", "2014"), answered) == "right"
    assert verdict(Asked("?", "events", "2015"), answered) == "wrong"
    assert verdict(Asked("?", "events", "2014"), refused) == "refused"
    assert verdict(Asked("?", "events", None), refused) == "kept"
    assert verdict(Asked("?", "events", None), answered) == "taken"
