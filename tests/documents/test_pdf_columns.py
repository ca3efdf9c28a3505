"""Tables of a PDF without rulings: a row keeps its header; columns of prose, lists and listings are none."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sillar.documents.ingest.pdf import parse_pdf
from sillar.documents.ingest.pdf_columns import Word, aligned_tables
from tests.documents.pdf_maker import make_pdf

PROSE = (
    "The parcel office opens at nine and",
    "closes at five on every working day,",
    "so that letters which arrive before",
    "noon are sorted on the same day and",
    "leave the house with the late train.",
    "Parcels of more than twenty kilos are",
    "weighed again before they are sent.",
)


def grid(rows: Sequence[Sequence[str]], lefts: Sequence[int] = (72, 220, 330, 420)) -> list[object]:
    """Lines of a page: a cell a line, at the left edges of their columns."""
    return [
        (10, 700 - 14 * n, cell, left)
        for n, row in enumerate(rows)
        for cell, left in zip(row, lefts, strict=False)
        if cell
    ]


def tables(lines: Sequence[object], **options: object) -> list[str]:
    document = parse_pdf(make_pdf([lines], **options))  # type: ignore[arg-type]
    return [document.text[b.start : b.end] for b in document.blocks if b.kind == "table"]


FEES = [
    ["Service", "Delivery", "Fee"],
    ["Letter up to 20 g", "2 days", "1.10"],
    ["Registered letter", "2 days", "4.35"],
    ["Parcel up to 5 kg", "4 days", "9.90"],
]


def test_rows_of_aligned_columns_keep_their_header() -> None:
    document = parse_pdf(make_pdf([[(10, 730, PROSE[0]), *grid(FEES), (10, 620, PROSE[1])]]))
    assert [(b.kind, document.text[b.start : b.end]) for b in document.blocks] == [
        ("paragraph", PROSE[0]),
        ("table", "Service: Letter up to 20 g | Delivery: 2 days | Fee: 1.10"),
        ("table", "Service: Registered letter | Delivery: 2 days | Fee: 4.35"),
        ("table", "Service: Parcel up to 5 kg | Delivery: 4 days | Fee: 9.90"),
        ("paragraph", PROSE[1]),
    ]
    box = document.blocks[2].box
    assert box is not None
    assert box[0] == pytest.approx(72, abs=2)
    assert box[1] < 700 - 28 < box[3]


def test_a_cell_that_goes_on_below_is_one_and_an_empty_one_is_left_out() -> None:
    rows = [*FEES[:2], ["", "on working days", ""], ["Registered letter", "", "4.35"], FEES[3]]
    assert tables(grid(rows)) == [
        "Service: Letter up to 20 g | Delivery: 2 days on working days | Fee: 1.10",
        "Service: Registered letter | Fee: 4.35",
        "Service: Parcel up to 5 kg | Delivery: 4 days | Fee: 9.90",
    ]


WORDS = [
    ["Command", "What it does"],
    ["list", "shows the files"],
    ["find", "searches"],
    ["copy", "makes two"],
]


def test_a_line_below_the_first_row_makes_it_a_header_and_a_frame_makes_a_table() -> None:
    lines = grid(WORDS)
    assert tables(lines) == []
    below = (72, 697, 330, 697)
    named = [f"Command: {command} | What it does: {does}" for command, does in WORDS[1:]]
    assert tables(lines, rules=[below]) == named
    assert tables(lines, rules=[(72, 711, 330, 711), (72, 655, 330, 655)]) == [
        " | ".join(row) for row in WORDS
    ]


def test_columns_of_prose_are_no_table() -> None:
    two = [(10, 700 - 12 * n, line, x) for n, line in enumerate(PROSE) for x in (72, 310)]
    assert tables(two) == []
    assert tables(two, rules=[(72, 698, 500, 698)]) == []


@pytest.mark.parametrize(
    "rows",
    [
        [[f"{n}.", text] for n, text in enumerate(PROSE, 1)],
        [["Contents", "Page"], *([f"{text} . . . . . .", str(n)] for n, text in enumerate(PROSE, 7))],
        [[str(n), text, str(10 * n)] for n, text in enumerate(("Start", "Install", "Use", "Remove"), 1)],
        [["Invoice", "1042"], ["Date", "3.4.2024"], ["Customer", "77"], ["Sum", "12.50"]],
        [["anchor, 4", "fold, 19"], ["box, 7", "gate, 20"], ["cord, 9", "hinge, 31"], ["door, 9", "iron, 3"]],
        [["Sender", "Receiver"], ["Ann Lee", "Bo Diaz"]],
    ],
    ids=["list", "contents", "numbered contents", "form", "book index", "two rows"],
)
def test_what_stands_in_columns_without_a_header_over_data_is_no_table(rows: list[list[str]]) -> None:
    assert tables(grid(rows)) == []


def test_a_listing_is_no_table() -> None:
    assert len(tables(grid(FEES))) == 3
    assert tables(grid(FEES), font="Courier") == []


@given(st.lists(st.tuples(st.integers(0, 560), st.integers(0, 800), st.integers(-5, 90)), max_size=60))
def test_any_words_make_tables_of_equal_rows_with_each_word_once(places: list[tuple[int, int, int]]) -> None:
    words = [
        Word(f"w{n}", (x, y, x + wide, y + abs(wide % 13)), 400) for n, (x, y, wide) in enumerate(places)
    ]
    for table in aligned_tables(words, [(0, 100, 595, 100)], []):
        assert len({len(row) for row in table.rows}) == 1
        found = " ".join(chain.from_iterable(table.rows)).split()
        assert len(found) == len(set(found))
