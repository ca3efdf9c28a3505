"""Office documents, mail, books and tables: read as a person reads them, and a row of a table keeps
its header.
"""

from __future__ import annotations

import pytest

from sillar.documents.chunk import chunk_document
from sillar.documents.document import Document
from sillar.documents.ingest.detect import media_type
from sillar.documents.ingest.parse import parse
from tests.documents import file_maker as make
from tests.documents.pdf_maker import make_pdf


def read(name: str, data: bytes) -> Document:
    return parse(data, media_type(name, data))


def blocks(document: Document) -> list[tuple[str, str]]:
    return [(block.kind, document.text[block.start : block.end]) for block in document.blocks]


WORD = [
    ("heading", "Returns"),
    ("paragraph", "Goods may be returned within 30 days."),
    ("heading", "Fees"),
    ("paragraph", "Free of charge"),
    ("table", "Country: Spain | Fee: 4 € | Days: 2"),
    ("table", "Country: Peru | Fee: 9 € | Days: 8"),
    ("paragraph", "Seen."),
]


def test_word() -> None:
    document = read("a.docx", make.make_docx())
    assert blocks(document) == WORD
    chunks = chunk_document(document)
    assert chunks[-1].headings == ("Returns", "Fees")


def test_word_with_macros_is_read_and_the_macro_is_not() -> None:
    document = read("a.docm", make.make_docm())
    assert blocks(document) == WORD
    assert "macro" not in document.text


def test_slides() -> None:
    document = read("a.pptx", make.make_pptx())
    assert blocks(document) == [
        ("heading", "Opening hours"),
        ("table", "Day: Monday | Opens: nine"),
        ("paragraph", "Say it slowly."),
    ]
    assert {block.page for block in document.blocks} == {1}


def test_workbook() -> None:
    document = read("a.xlsx", make.make_xlsx())
    assert blocks(document) == [
        ("heading", "Prices"),
        ("table", "Price list 2024"),
        ("table", "Article: Kettle | Price: 19.5 | In stock: yes"),
        ("table", "Article: Cup | Price: 3"),
    ]
    assert document.blocks[-1].lines == (5, 5)


@pytest.mark.parametrize(
    ("name", "text", "rows"),
    [
        ("a.csv", 'name,town\nAna,"Lima, Peru"\n\nBob,Cusco\n',
         ["name: Ana | town: Lima, Peru", "name: Bob | town: Cusco"]),
        ("a.tsv", "name\ttown\nAna\tLima\n", ["name: Ana | town: Lima"]),
        ("a.csv", "código;precio\nA;1,5\nB;2,5\n", ["código: A | precio: 1,5", "código: B | precio: 2,5"]),
        ("a.csv", "1,2\n3,4\n", ["1 | 2", "3 | 4"]),
        ("a.csv", "just one\ncolumn of\nnotes\n", ["just one", "column of", "notes"]),
    ],
)  # fmt: skip
def test_delimited(name: str, text: str, rows: list[str]) -> None:
    assert [line for _, line in blocks(read(name, text.encode()))] == rows


def test_every_row_that_is_found_alone_names_its_columns() -> None:
    lines = ["city,population,mayor"] + [f"City {n},{n * 1000},Mayor {n}" for n in range(300)]
    chunks = chunk_document(read("a.csv", "\n".join(lines).encode()))
    assert len(chunks) > 5
    assert all("city: City" in chunk.text and "mayor: Mayor" in chunk.text for chunk in chunks)
    places = [place for chunk in chunks for place in chunk.places]
    assert [place.lines for place in places] == [(n, n) for n in range(2, 302)], "each row its line"


def test_mail_with_attachments() -> None:
    data = make.make_eml(("fees.docx", make.make_docx()), ("notes.csv", b"item,fee\nbox,2\n"),
                         ("tool.exe", b"MZ"), ("broken.pdf", b"%PDF-1.4 rubbish"))  # fmt: skip
    document = read("a.eml", data)
    assert document.title == "Your order"
    found = blocks(document)
    assert found[:4] == [
        ("heading", "Your order"),
        (
            "paragraph",
            "From: Ana <ana@shop.example>\nTo: bob@example.com\nDate: Mon, 04 Mar 2024 10:00:00 +0000",
        ),
        ("paragraph", "The parcel arrives on Friday."),
        ("heading", "fees.docx"),
    ]
    assert ("table", "item: box | fee: 2") in found
    chunk = next(c for c in chunk_document(document) if "Spain" in c.text)
    assert chunk.headings == ("Your order", "fees.docx", "Returns", "Fees")
    assert [note.split(":")[0] for note in document.notes] == ["tool.exe", "broken.pdf"]


def test_mail_prefers_the_page_when_it_says_as_much() -> None:
    table = "<table><tr><th>no</th><th>due</th></tr><tr><td>7</td><td>May</td></table>"
    html = f"<p>The parcel arrives on Friday.</p>{table}"
    found = blocks(read("a.eml", make.make_eml(html=html)))
    assert found[-1] == ("table", "no: 7 | due: May")
    assert sum("parcel" in text for _, text in found) == 1


def test_mailbox() -> None:
    first, second = make.make_eml(), make.make_eml(subject="Second one")
    data = b"".join(b"From ana@x Mon Mar  4 10:00:00 2024\n" + raw + b"\n" for raw in (first, second))
    document = read("a.mbox", data)
    assert [text for kind, text in blocks(document) if kind == "heading"] == ["Your order", "Second one"]


def test_book() -> None:
    data = make.make_epub(
        {"one.xhtml": "<h1>One</h1><p>First.</p>", "two.xhtml": "<h1>Two</h1><p>Second.</p>"}
    )
    document = read("a.epub", data)
    assert document.title == "A book"
    assert [text for _, text in blocks(document)] == ["One", "First.", "Two", "Second."]


def test_open_document() -> None:
    cell = "<table:table-cell><text:p>{}</text:p></table:table-cell>".format
    rows = "".join(f"<table:table-row>{''.join(map(cell, r))}</table:table-row>" for r in ("ABC", "123"))
    data = make.make_odt(
        "<office:text><text:tracked-changes><text:p>deleted</text:p></text:tracked-changes>"
        '<text:h text:outline-level="2">Head</text:h><text:p>One<text:s/>two<text:note><text:note-citation>1'
        "</text:note-citation><text:note-body><text:p>a note</text:p></text:note-body></text:note>.</text:p>"
        "<text:list><text:list-item><text:p>item</text:p></text:list-item></text:list>"
        f"<table:table>{rows}</table:table></office:text>"
    )
    assert blocks(read("a.odt", data)) == [
        ("heading", "Head"),
        ("paragraph", "One two (a note)."),
        ("list", "item"),
        ("table", "A: 1 | B: 2 | C: 3"),
    ]


def test_archive_reads_each_file_by_its_kind() -> None:
    inner = make.make_zip({"deep/prices.csv": "what,cost\ntea,2\n"})
    data = make.make_zip(
        {"docs/a.docx": make.make_docx(), "inner.zip": inner, "x.exe": b"MZ", ".git/x.txt": "no"}
    )
    document = read("all.zip", data)
    assert ("table", "what: tea | cost: 2") in blocks(document)
    assert [text for kind, text in blocks(document) if kind == "heading"][:2] == ["a.docx", "Returns"]


def test_pages_keep_their_tables() -> None:
    page = (
        b'<div class="table-contents"><table><caption>Fees</caption>'
        b"<thead><tr><th>Country</th><th>Fee</th></tr></thead>"
        b'<tr><td rowspan="2">Spain</td><td>4</td></tr><tr><td>5 | 6</td></tr>'
        b'<tr><th colspan="2">Overseas</th></tr><tr><td>Peru</td><td>9'
        b"<table><tr><td>in</td><td>ner</td></tr></table></td></tr></table></div>"
    )
    assert blocks(read("a.html", page)) == [
        ("paragraph", "Fees"),
        ("table", "Country: Spain | Fee: 4"),
        ("table", "Country: Spain | Fee: 5 | 6"),
        ("table", "Overseas"),
        ("table", "Country: Peru | Fee: 9 in ner"),
    ]


def test_ruled_tables_of_a_pdf() -> None:
    cells = [
        ["Command", "Package", "Action"],
        ["dpkg -S", "dpkg", "find a file"],
        ["apt-file", "apt", "search"],
    ]
    texts = [(11, 700, "Commands to know.")]
    rules = []
    for row, line in enumerate(cells):
        y = 650 - 20 * row
        rules.append((60, y - 6, 460, y - 6))
        for column, text in enumerate(line):
            texts.append((10, y, text, 70 + 130 * column))
    rules += [(60, 664, 460, 664)] + [(x, 604, x, 664) for x in (60, 190, 320, 460)]
    document = read("a.pdf", make_pdf([texts], rules=rules))
    assert blocks(document) == [
        ("paragraph", "Commands to know."),
        ("table", "Command: dpkg -S | Package: dpkg | Action: find a file"),
        ("table", "Command: apt-file | Package: apt | Action: search"),
    ]
    box = document.blocks[1].box
    assert box is not None
    assert 620 < box[1] < box[3] < 650
