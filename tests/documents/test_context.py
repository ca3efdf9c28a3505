"""What goes to the prompt: neighbours joined in reading order, copies left out, citations as before."""

from __future__ import annotations

from pathlib import Path

from sillar.documents import Index
from sillar.documents.answer import AnswerOptions, answer
from sillar.documents.context import join_neighbours, without_copies
from sillar.documents.document import DocumentBuilder, Passage
from sillar.documents.grounding import build_messages
from sillar.documents.store.protocol import EVERYTHING
from tests.documents.fakes import ScriptedModel, open_index

FILLER = (
    "The {0} of the house is cleaned on {0} by the people of the {0} team and then it is closed again "
    "for the night. "
)
QUESTION = "When is the boiler room inspected?"


def passage(number: int, start: int, text: str, document: int = 1, section: str = "Boiler") -> Passage:
    end = start + len(text)
    return Passage(number, document, "house.md", "House", (section,), text, start, end, (), "en",
                   1.0 - number / 10, 0.9, 1.0)  # fmt: skip


def prompt(passages: list[Passage], room: int = 2000) -> tuple[str, list[Passage]]:
    messages, kept = build_messages(QUESTION, passages, "en", room, lambda text: len(text.split()))
    return messages[-1]["content"], kept


def test_neighbours_stand_as_one_in_reading_order_where_the_best_stood() -> None:
    first = passage(3, 0, "The boiler room is in the cellar.")
    second = passage(1, 35, "It is inspected in May.")
    third = passage(4, 60, "The key is at the desk.")
    other = passage(2, 200, "The garden is watered at night.", section="Garden")
    text, kept = prompt([second, other, first, third])
    assert "[1] The boiler room is in the cellar. It is inspected in May. The key is at the desk.\n" in text
    assert "[2] The garden is watered at night.\n" in text
    assert "[3]" not in text
    assert kept == [second, other, first, third]


def test_a_passage_between_two_others_joins_them() -> None:
    ends = [passage(1, 0, "a" * 8), passage(2, 20, "c" * 8)]
    assert join_neighbours(ends) == [[ends[0]], [ends[1]]]
    middle = passage(3, 10, "b" * 8)
    assert join_neighbours([*ends, middle]) == [[ends[0], middle, ends[1]]]


def test_other_documents_and_sections_are_not_joined() -> None:
    here = passage(1, 0, "The boiler room is in the cellar.")
    elsewhere = [passage(2, 35, "Far away.", document=2), passage(3, 35, "Below.", section="Garden")]
    assert join_neighbours([here, *elsewhere]) == [[here], [elsewhere[0]], [elsewhere[1]]]


def test_a_copy_leaves_its_room_to_what_is_new() -> None:
    text = "The boiler room of the house is inspected in May by the people who know how it works."
    copy = passage(2, 0, "Note that the " + text[4:69], document=2)
    new = passage(
        3, 0, "The inspector wants to see the book in which every repair is written down.", document=3
    )
    best = passage(1, 0, text)
    assert without_copies([best, copy, new]) == [best, new]
    _, kept = prompt([best, copy, new], room=165)
    assert new in kept


async def test_a_citation_of_joined_chunks_names_the_text_itself(tmp_path: Path) -> None:
    builder = DocumentBuilder(title="House")
    builder.add("heading", "Boiler", level=1)
    for name in ("kitchen", "cellar"):
        builder.add("paragraph", FILLER.format(name) * 5)
    builder.add("paragraph", "The boiler room is inspected in May. The boiler needs 40 litres of water.")
    async with open_index(tmp_path / "i.db") as index:
        await index.add_documents("manual", [("house.md", builder.build())])
        said = "The boiler room is inspected in May."
        model = ScriptedModel(said)
        result = await answer(QUESTION, index, model, AnswerOptions(style="generate", abstain=False))  # type: ignore[arg-type]
        assert "[2]" not in model.asked[0], "one section, one passage"
        assert said in await _cited(index, result.citations[0].document_id, result.citations[0].start)


async def _cited(index: Index, document: int, start: int) -> str:
    assert index.store.document(document, EVERYTHING) is not None
    return index.store.text(document)[start : start + 60]
