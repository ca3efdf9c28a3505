"""A quote's pages and lines are those that it stands on, not all of its passage's."""

from __future__ import annotations

from pathlib import Path

import pytest

from sillar.documents.chunk import chunk_document
from sillar.documents.document import Document, DocumentBuilder
from sillar.documents.draft import Draft
from sillar.documents.ingest.pdf import parse_pdf
from sillar.documents.support import split_passages
from tests.documents.fakes import open_index
from tests.documents.pdf_maker import make_pdf

FIRST = [(11, 700, "The lighthouse was painted by the crew of the harbour, who"), (11, 686, "came in spring")]
SECOND = [(11, 700, "and went in autumn. The lantern weighs ninety kilo-"), (11, 686, "grams, the lamp")]
THIRD = [(11, 700, "weighs four. The keeper sleeps in the tower.")]


def pages_of(text: str, document: Document) -> dict[str, int]:
    """The page on which each word of the text begins, by its block."""
    (block,) = [b for b in document.blocks if text in document.text[b.start : b.end]]
    pages = {}
    for word in text.split():
        at = document.text.index(word, block.start)
        pages[word] = [block.page, *(page for offset, page in block.turns if offset <= at)][-1]
    return pages


def test_a_paragraph_over_two_page_breaks_knows_where_its_pages_begin() -> None:
    document = parse_pdf(make_pdf([FIRST, SECOND, THIRD]))
    pages = pages_of("harbour, who came in spring and went in autumn.", document)
    assert pages == {
        "harbour,": 1,
        "who": 1,
        "came": 1,
        "in": 1,
        "spring": 1,
        "and": 2,
        "went": 2,
        "autumn.": 2,
    }
    assert pages_of("ninety kilograms, the lamp weighs four.", document)["lamp"] == 2
    assert pages_of("ninety kilograms, the lamp weighs four.", document)["weighs"] == 2
    assert pages_of("lamp weighs four.", document)["four."] == 3
    again = Document.from_json(document.to_json())
    assert again.blocks == document.blocks


def test_a_word_cut_by_a_page_break_belongs_to_the_second_page_from_its_second_part_on() -> None:
    first, second = "The crew of the harbour painted the light-", "house in spring, and went in autumn."
    document = parse_pdf(make_pdf([[(11, 700, first)], [(11, 700, second)]]))
    (block,) = document.blocks
    assert document.text == first.removesuffix("-") + second
    assert block.turns == ((document.text.index("house in"), 2),)


def test_a_chunk_of_several_blocks_and_a_part_of_a_long_one() -> None:
    builder = DocumentBuilder()
    builder.add("paragraph", "Nobody knows.", page=3)
    builder.add("paragraph", "  It rains. It snows.", page=3, turns=[(12, 4)])
    builder.add("paragraph", "It is warm.", page=4)
    builder.add("paragraph", "It is cold.", page=6)
    document = builder.build()
    (chunk,) = chunk_document(document)
    at = document.text.index
    assert [place[:2] for place in chunk.places] == [(0, 3), (at("It snows."), 4), (at("It is cold."), 6)]

    builder = DocumentBuilder()
    sentences = [f"Sentence number {n} is as long as the others are." for n in range(60)]
    offsets = [sum(len(s) + 1 for s in sentences[:n]) for n in range(60)]
    builder.add("paragraph", " ".join(sentences), page=1, turns=[(offsets[20], 2), (offsets[40], 3)])
    document = builder.build()
    for part in chunk_document(document):
        first = int(part.text.split()[2])
        last = int(part.text.split()[-8])
        assert (part.places[0].page, part.places[-1].page) == (first // 20 + 1, last // 20 + 1)


@pytest.mark.parametrize(
    ("said", "pages", "lines"),
    [
        ("The lantern weighs", (2, 3), None),
        ("The lighthouse was", (1, 2), None),
        ("The keeper sleeps", (3, 3), None),
        ("product: Valve", (None, None), (3, 3)),
        ("Nobody knows", (None, None), (1, 2)),
        ("Somebody does", (None, None), (4, 4)),
    ],
)
async def test_an_index_keeps_where_its_quotes_stand(
    tmp_path: Path, said: str, pages: tuple[int | None, int | None], lines: tuple[int, int] | None
) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "lantern.pdf").write_bytes(make_pdf([FIRST, SECOND, THIRD]))
    (folder / "prices.csv").write_text("product,price\nPump,1200\nValve,85\nHose,12\n")
    (folder / "notes.md").write_text("Nobody knows\nwhy it rains.\n\nSomebody does know it.\n")
    async with open_index(tmp_path / "i.db") as index:
        await index.add_folder(folder)
        passages = await index.search(said, 4)
        sentence = next(s for s in split_passages(passages) if s.text.startswith(said))
        draft = Draft([sentence])
        draft.quote()
        assert [(c.page, c.last_page, c.lines) for c in draft.citations] == [(*pages, lines)]
        if pages[0]:
            sections = await index.read(index.store.sections, sentence.passage.document_id)
            assert (sections[0].page, sections[-1].last_page) == (1, 3)
