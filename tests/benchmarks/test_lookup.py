"""lookup.py's kinds of prompts, and how it judges a quotation."""

import pytest

pytest.importorskip("sillar._native")

from benchmarks.lookup import Run, kinds, quoted_share


def test_a_quotation_has_its_passage_in_the_prompt_and_begins_it_anew():
    kind = kinds()["quote"]
    assert len(kind.prompts) == len(kind.quoted) == 4
    for prompt, rest in zip(kind.prompts, kind.quoted, strict=True):
        passage, begun = prompt.split("\n\n")
        assert passage == f"{begun} {rest}"


def test_the_quoted_share_is_of_words():
    assert quoted_share([Run(text="a b c d"), Run(text="x")], ("a b c d", "y")) == 0.5
    assert quoted_share([Run(text="a")], ()) is None
