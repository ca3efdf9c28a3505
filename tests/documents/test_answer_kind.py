"""Answers of the kind that is asked for, names that are more than their letters, plurals of acronyms."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sillar.documents.answer import Answer, AnswerOptions, answer
from sillar.documents.answer_kind import kind_check
from sillar.documents.index import Index
from sillar.documents.language import other_number
from sillar.documents.names import literal_names, share_named
from tests.documents.fakes import index_of

PASSAGES = {
    "max": "Max Ruiz was born in Quito. Max Ruiz was born here in 1971.",
    "tom": "Tom Weber was born in a small house near Bremen and likes it.",
    "lower": "Run pkgtool -s and the state of a package is shown.",
    "upper": "Run pkgtool -S and the owner of a file is found.",
    "lamp": "A lamp: 3 in stock.",
    "stock": "An SSD: 0 in stock.",
}


@pytest.fixture
async def index(tmp_path: Path) -> AsyncIterator[Index]:
    async with index_of(tmp_path / "i.db", PASSAGES) as index:
        yield index


async def quote(index: Index, question: str, *, abstain: bool = False) -> Answer:
    return await answer(question, index, None, AnswerOptions(style="quote", abstain=abstain))


async def test_when_is_answered_by_a_sentence_with_a_time(index: Index) -> None:
    assert "1971" in (await quote(index, "When was Max Ruiz born?")).text


async def test_no_sentence_with_a_time_is_no_answer_to_when(index: Index) -> None:
    where = await quote(index, "Where was Tom Weber born?", abstain=True)
    when = await quote(index, "When was Tom Weber born?", abstain=True)
    assert not where.abstained
    assert "Bremen" in where.text
    assert when.abstained
    assert when.support < where.support


async def test_an_option_is_found_with_its_case(index: Index) -> None:
    for name, document in (("-S", "upper"), ("-s", "lower")):
        result = await quote(index, f"What does pkgtool {name} do?")
        assert result.passages[0].document == document
        assert result.citations[0].document == document
        scores = [passage.score for passage in result.passages]
        assert scores == sorted(scores, reverse=True)
        assert scores[0] <= 1.0


@pytest.mark.parametrize("plural", ["SSDs", "ssds"])
async def test_the_plural_of_an_acronym_finds_it(index: Index, plural: str) -> None:
    result = await quote(index, f"How many {plural} are in stock?")
    assert result.citations[0].document == "stock"
    assert result.passages[0].bm25 > 0


@pytest.mark.parametrize(
    ("word", "other"),
    [("ssds", ["ssd"]), ("ssd", ["ssds"]), ("cpus", ["cpu"]), ("menu", ["menus"]), ("urls", []),
     ("printer", []), ("class", []), ("s", []), ("2024s", []), ("", [])],
)  # fmt: skip
def test_only_plurals_that_stems_keep_apart_are_added(word: str, other: list[str]) -> None:
    assert other_number(word) == other


@pytest.mark.parametrize(
    ("question", "names"),
    [
        ("What does dpkg -S do?", ["-S"]),
        ("Is C++ better than C, or `--no-color`?", ["C++", "--no-color"]),
        ("What is in /etc/apt/sources.list?", ["/etc/apt/sources.list"]),
        ('Why is it (so) "dear" - $5, 50%, and/or ... well-known?', []),
        ("¿Qué hace @INC...?", ["@INC"]),
        ("", []),
    ],
)
def test_names_with_signs_are_found_in_a_question(question: str, names: list[str]) -> None:
    assert literal_names(question) == names


def test_a_name_is_found_as_it_is_written() -> None:
    assert share_named("use -S file, not -s", ["-S"]) == 1.0
    assert share_named("use --S or a-S or -Sx", ["-S"]) == 0.0
    assert share_named("written in C", ["C++"]) == 0.0
    assert share_named("foo.deb (C++)", [".deb", "C++", "@INC"]) == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("question", "holds", "lacks"),
    [
        ("When was the house built?", "It was built in 1931.", "It was built by two brothers."),
        ("In what year did the war end in 1918 begin?", "In 1914.", "The war ended in 1918."),
        ("¿A qué hora abre la oficina?", "Abre al mediodía.", "Abre la secretaria."),
        ("¿Cuántas sillas hay?", "Hay doce.", "Hay sillas."),
        ("How many chairs are there?", "The chairs are listed here:", "Chairs are there."),
    ],
)
def test_the_kind_of_answer_shows(question: str, holds: str, lacks: str) -> None:
    check = kind_check(question)
    assert check is not None
    assert check(holds)
    assert not check(lacks)


@pytest.mark.parametrize(
    "question",
    [
        "Who built it?",
        "What happens when it rains?",
        "When it rains, who pays?",
        "Cuando llueve, ¿quién paga?",
        "",
    ],
)
def test_other_questions_have_no_kind_that_shows(question: str) -> None:
    assert kind_check(question) is None
