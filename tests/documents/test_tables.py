"""Tables as offices make them: merged cells, titles above, names over two rows, formats of numbers. Every
row still says what its cells are.
"""

from __future__ import annotations

import io
from typing import Any

import docx
import openpyxl
import pptx
import pytest
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches

from tests.documents import file_maker as make
from tests.documents.test_formats import blocks, read


def saved(document: Any) -> bytes:
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def lines(name: str, data: bytes) -> list[str]:
    return [text for kind, text in blocks(read(name, data)) if kind == "table"]


FEES = [["Zone", "Weight", "Fee"], ["North", "1 kg", "5 €"], ["", "2 kg", "8 €"]]
ZONES = ["Fees of 2024", "Zone: North | Weight: 1 kg | Fee: 5 €", "Zone: North | Weight: 2 kg | Fee: 8 €"]


def test_word_with_merged_cells_and_a_title_across() -> None:
    document = docx.Document()
    table = document.add_table(4, 3)
    table.cell(0, 0).merge(table.cell(0, 2)).text = "Fees of 2024"
    for i, row in enumerate(FEES, 1):
        for j, text in enumerate(row):
            table.cell(i, j).text = text
    table.cell(2, 0).merge(table.cell(3, 0))
    assert lines("a.docx", saved(document)) == ZONES


def test_slides_with_merged_cells_and_a_chart() -> None:
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[5])
    table = slide.shapes.add_table(3, 3, 0, 0, Inches(4), Inches(2)).table
    for i, row in enumerate(FEES):
        for j, text in enumerate(row):
            table.cell(i, j).text = text
    table.cell(1, 0).merge(table.cell(2, 0))
    chart = CategoryChartData()
    chart.categories = ["East", "West"]
    chart.add_series("Sales", (19.2, None))
    slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, 0, 0, Inches(3), Inches(3), chart)
    assert lines("a.pptx", saved(deck)) == [*ZONES[1:], "East | Sales: 19.2", "West"]


def test_open_document_with_merged_cells_and_a_title_across() -> None:
    cell = "<table:table-cell{}><text:p>{}</text:p></table:table-cell>".format
    covered = "<table:covered-table-cell/>"
    rows = [
        cell(' table:number-columns-spanned="3"', "Fees of 2024") + 2 * covered,
        "".join(cell("", text) for text in FEES[0]),
        cell(' table:number-rows-spanned="2"', "North") + cell("", "1 kg") + cell("", "5 €"),
        covered + cell("", "2 kg") + cell("", "8 €"),
    ]
    table = "".join(f"<table:table-row>{row}</table:table-row>" for row in rows)
    odt = make.make_odt(f"<office:text><table:table>{table}</table:table></office:text>")
    assert lines("a.odt", odt) == ZONES


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("<tr><td>Plan<td>Price<td>Seats<tr><td>Basic<td>5 €<td>1", ["Plan: Basic | Price: 5 € | Seats: 1"]),
        (
            "<tr><td>one<td>two<td>three<tr><td>four<td>five<td>six",
            ["one | two | three", "four | five | six"],
        ),
        ("<tr><td>Plan<td>Price<td>Seats", ["Plan | Price | Seats"]),
        ("<thead><tr><td>Plan<td>Price</thead><tr><td>Basic<td>five", ["Plan: Basic | Price: five"]),
    ],
)
def test_a_page_whose_columns_are_named_in_plain_cells(page: str, expected: list[str]) -> None:
    assert lines("a.html", f"<table>{page}</table>".encode()) == expected


def test_a_workbook_with_names_over_two_rows_formats_and_a_chart_sheet() -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (["Prices"], [], ["Product", None, "January", None], ["Name", "Code", "Units", "€"]):
        sheet.append(row)
    sheet.append(["Screw", "T-1", 10, 0.15])
    sheet["D5"].number_format = "#,##0.00\\ [$€-407]"
    shares = book.create_sheet("Shares")
    for row in (["Name", "Share", "Since"], ["Ann", 0.125, "May"], ["Bob", 0.5, "June"]):
        shares.append(row)
    shares["B2"].number_format = "0.0%"
    shares.row_dimensions[3].hidden = True  # as a filter does
    pairs = book.create_sheet("Pairs")
    for row in (["Guarantee", "24 months"], ["Telephone", 915551234]):
        pairs.append(row)
    book.create_chartsheet("Chart")
    assert lines("a.xlsx", saved(book)) == [
        "Prices",
        "Product Name: Screw | Product Code: T-1 | January Units: 10 | January €: 0.15 €",
        "Name: Ann | Share: 12.5 % | Since: May",
        "Name: Bob | Share: 0.5 | Since: June",
        "Guarantee | 24 months",
        "Telephone | 915551234",
    ]


def test_excel_says_its_separator_above_the_table() -> None:
    assert lines("a.csv", b"sep=;\r\nname;sum\r\nAnn;5,10\r\n") == ["name: Ann | sum: 5,10"]


def test_locked_files_of_an_archive_stop_nothing() -> None:
    data = bytearray(make.make_zip({"open.txt": "Open text.", "locked.txt": "secret"}, stored=True))
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.rindex(mark) + at] |= 1
    document = read("a.zip", bytes(data))
    assert (document.title, document.text) == ("", "open.txt\n\nOpen text.")
    assert list(document.notes) == ["locked.txt: It is encrypted with a password."]
