"""Markdown of answers as a tree: what may be there is, and nothing hostile survives as more than text."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sillar.server.rich_text import TAGS, render


def test_markdown_becomes_elements_with_citations():
    text = "Use `a` and **b** [1]\n\n- x [2]\n- *y*\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"
    text += "\n```sh\nls\n```\n\n# Title"
    assert render(text, {1: "q", 2: "r"}) == [
        ["p", "Use ", ["code", "a"], " and ", ["strong", "b"], " ", ["cite", 1]],
        ["ul", ["li", "x ", ["cite", 2]], ["li", ["em", "y"]]],
        [
            "table",
            ["thead", ["tr", ["th", "a"], ["th", "b"]]],
            ["tbody", ["tr", ["td", "1"], ["td", "2"]]],
        ],
        ["pre", ["code", "ls"]],
        ["h3", "Title"],
    ]


def test_a_quote_stands_as_in_its_document():
    quote = "Call __init__(*args):\n\n- a\n- *b"
    assert render(f"It *is* so. [1]\n\n{quote} [2]", {1: "other", 2: quote}) == [
        ["p", "It ", ["em", "is"], " so. ", ["cite", 1]],
        ["p", "Call __init__(*args):"],
        ["p", "- a", ["br"], "- *b ", ["cite", 2]],
    ]


def test_a_row_of_a_table_that_is_quoted_is_a_table_again_and_a_pipeline_is_not():
    row = "Model: Precision | RAM: 64 GB | Note: see https://x.example <b>"
    assert render(f"{row} [1]", {1: row}) == [
        [
            "table",
            [
                "tbody",
                ["tr", ["th", "Model"], ["td", "Precision"]],
                ["tr", ["th", "RAM"], ["td", "64 GB"]],
                ["tr", ["th", "Note"], ["td", "see https://x.example <b>", " ", ["cite", 1]]],
            ],
        ]
    ]
    for quote in ("ls: x | wc", "a | b", "one: two"):
        assert render(f"{quote} [1]", {1: quote}) == [["p", f"{quote} ", ["cite", 1]]]


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[click](javascript:alert(1))",
        "![pixel](https://evil.example/p.png)",
        "<https://evil.example>",
        "[1]\n\n[1]: https://evil.example 'x'",
        "<a href='https://evil.example'>x</a>",
        "> " * 500 + "deep",
        "[" * 5000,
        "- " * 2000 + "x",
    ],
)
def test_hostile_markdown_leaves_only_text_and_allowed_elements(text):
    tree = render(text, {})
    assert_allowed(tree)
    assert '"cite"' not in json.dumps(tree)


@settings(deadline=None)
@given(st.text(alphabet="[]()<>!*_`|#-1 \n\"'&:/ax", max_size=300))
def test_whatever_is_written_the_tree_is_allowed_and_cites_only_what_there_is(text):
    assert_allowed(render(text, {1: "a x"}), cites={1})


def assert_allowed(nodes, cites=frozenset(), depth=0):
    assert depth < 60
    for node in nodes:
        if isinstance(node, str):
            continue
        assert node[0] in TAGS
        if node[0] == "cite":
            assert node[1] in cites
            assert len(node) == 2
        else:
            assert_allowed(node[1:], cites, depth + 1)
