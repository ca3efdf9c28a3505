"""Tables that go on at the head of the next page keep their header; tables of contents are left out."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from sillar.documents.ingest.pdf import parse_pdf
from sillar.documents.ingest.pdf_contents import without_contents
from sillar.documents.ingest.pdf_lines import Line
from tests.documents.pdf_maker import make_pdf

LEFTS = (72, 220, 330)
HEADER = ["Service", "Delivery", "Fee"]
FIRST = [["Letter up to 20 g", "2 days", "1.10"], ["Registered letter", "2 days", "4.35"],
         ["Parcel up to 5 kg", "4 days", "9.90"]]  # fmt: skip
SECOND = [
    ["Parcel up to 10 kg", "5 days", "14.50"],
    ["Pallet", "9 days", "88.00"],
    ["Tube", "4 days", "7.20"],
]
ROWS = [
    "Service: Parcel up to 10 kg | Delivery: 5 days | Fee: 14.50",
    "Service: Pallet | Delivery: 9 days | Fee: 88.00",
    "Service: Tube | Delivery: 4 days | Fee: 7.20",
]
TOP, FOOT = 730, 110
ABOVE = [(10, 760 - 20 * n, "The parcel office opens at nine and closes at five.") for n in range(3)]


def grid(rows: Sequence[Sequence[str]], top: int, lefts: Sequence[int] = LEFTS) -> list[tuple[object, ...]]:
    """Lines of a page, a cell a line; `top`: where the first row stands."""
    return [
        (10, top - 14 * n, cell, left)
        for n, row in enumerate(rows)
        for cell, left in zip(row, lefts, strict=True)
    ]


def at_foot(rows: Sequence[Sequence[str]]) -> list[tuple[object, ...]]:
    return [*ABOVE, *grid(rows, FOOT + 14 * (len(rows) - 1))]


def on_second(*pages: Sequence[object], rules: Sequence[tuple[int, int, int, int]] = ()) -> list[str]:
    document = parse_pdf(make_pdf(pages, rules))
    return [document.text[b.start : b.end] for b in document.blocks if b.kind == "table" and b.page == 2]


def test_rows_over_a_page_break_keep_the_header_of_the_page_before() -> None:
    assert on_second(at_foot([HEADER, *FIRST]), grid(SECOND, TOP)) == ROWS


def test_page_numbers_and_running_headers_do_not_end_a_table() -> None:
    first = [(8, 800, "Parcel office 1"), *at_foot([HEADER, *FIRST]), (8, 40, "1")]
    second = [(8, 800, "Parcel office 2"), *grid(SECOND, TOP), (10, 600, "Ask at the counter."), (8, 40, "2")]
    assert on_second(first, second) == ROWS


def test_a_header_that_stands_there_again_is_no_row() -> None:
    assert on_second(at_foot([HEADER, *FIRST]), grid([HEADER, *SECOND], TOP)) == ROWS


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([*grid([HEADER, *FIRST], 180), (10, 110, "Prices hold until May.")], grid(SECOND, TOP)),  # below
        (at_foot([HEADER, *FIRST]), [(10, 730, "Other things."), *grid(SECOND, 700)]),  # text above
        (grid([HEADER, *FIRST], TOP), grid(SECOND, TOP)),  # half a page left free
        (at_foot([HEADER, *FIRST]), grid(SECOND, 400)),  # begins in the middle
        (at_foot([HEADER, *FIRST]), grid(SECOND, TOP, (72, 260, 410))),  # other columns
    ],
)  # fmt: skip
def test_what_is_not_the_same_table_gets_no_header(first: list[object], second: list[object]) -> None:
    assert not any("Service" in row for row in on_second(first, second))


def ruled(rows: int, top: int, bottom: int) -> list[tuple[int, int, int, int]]:
    """Lines around the cells of rows of the same height."""
    height = (top - bottom) // rows
    level = [(60, top - height * n, 420, top - height * n) for n in range(rows + 1)]
    return level + [(x, top - height * rows, x, top) for x in (60, 200, 310, 420)]


def test_a_ruled_table_goes_on_too_over_two_breaks_and_text_of_three_columns_is_no_header() -> None:
    rules = ruled(3, 760, 700) + ruled(3, 160, 100)
    words = [["Name", "Job", "Place"], ["Ana", "smith", "Lugo"], ["Eva", "baker", "Vigo"]]
    more = [["Leo", "clerk", "Baza"], ["Rui", "miner", "Moa"], ["Sol", "guard", "Tuy"]]

    def page(head: list[list[str]], foot: list[list[str]]) -> list[tuple[object, ...]]:
        lines = [(10, 747 - 20 * n, cell, left) for n, row in enumerate(head)
                 for cell, left in zip(row, (70, 210, 320), strict=True)]  # fmt: skip
        return [*lines, (10, 400, "Between the tables."),
                *((10, y - 600, cell, left) for (_, y, _, _), cell, left in zip(
                    lines, [c for row in foot for c in row], (70, 210, 320) * 3, strict=True))]  # fmt: skip

    document = parse_pdf(make_pdf([page(words, words), page(more, words)], rules))
    found = [(b.page, document.text[b.start : b.end]) for b in document.blocks if b.kind == "table"]
    assert found[4:] == [
        (2, "Name: Leo | Job: clerk | Place: Baza"),
        (2, "Name: Rui | Job: miner | Place: Moa"),
        (2, "Name: Sol | Job: guard | Place: Tuy"),
        (2, "Name: Ana | Job: smith | Place: Lugo"),
        (2, "Name: Eva | Job: baker | Place: Vigo"),
    ]


def lines(*texts: str) -> list[Line]:
    return [
        Line(text, 0, 10, 400, (72, 700 - 12 * n, 500, 710 - 12 * n), 842) for n, text in enumerate(texts)
    ]


CONTENTS = (
    "1 First things 1",
    "1.1 What is this? . . . . . . . . 1",
    "1.2 How does one begin with something whose name",
    "goes on in a second line? . . . . . . 3",
    "1.3 Why ......... 12",
    "A Licence . . . . . 12",
    "B Names 14",
)


def test_a_table_of_contents_is_left_out_and_what_stands_around_it_stays() -> None:
    around = lines("Contents", *CONTENTS, "This manual is free.")
    assert [line.text for line in without_contents(around)] == ["Contents", "This manual is free."]


@pytest.mark.parametrize(
    "texts",
    [
        ("Coffee ..... 3", "Tea ..... 2", "Cake ..... 5", "Soup ..... 6"),
        ("Wait . . . 1", "and see . . . 2"),
        ("One . . . . 1", "two . . . . 1", "three . . . . 1", "four . . . . 1"),
    ],
)
def test_a_price_list_and_dots_in_prose_stay(texts: tuple[str, ...]) -> None:
    assert [line.text for line in without_contents(lines(*texts))] == list(texts)
