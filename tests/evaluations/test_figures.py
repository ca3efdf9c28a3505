"""The figures that evaluations report, on cases that can be checked by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evaluations.retrieval import figures
from evaluations.sets import cross_lingual, load_set
from evaluations.text_scores import contained, exact_match, f1


def test_retrieval_figures() -> None:
    result = figures([[0], [2], []], [1, 1, 1])
    assert result == {
        "recall@1": 0.3333,
        "recall@5": 0.6667,
        "recall@10": 0.6667,
        "mrr": 0.4444,
        "ndcg@10": 0.5,
    }


def test_answer_scores_ignore_case_articles_accents_and_markers() -> None:
    assert exact_match("The Panthers [1]", ["panthers"]) == 1
    assert contained("En la ciudad de León. [2]", ["Leon"]) == 1
    assert contained("Leonardo", ["Leon"]) == 0
    assert f1("gold silver", ["gold"]) == pytest.approx(2 / 3)


def test_sets_and_translations(tmp_path: Path) -> None:
    for name, text, question in (("en", "the text", "what?"), ("es", "el texto", "¿qué?")):
        data = {"name": name, "lang": name, "passages": [{"id": "0", "text": text}],
                "queries": [{"q": question, "gold": ["0"], "answer": "x"}]}  # fmt: skip
        (tmp_path / f"{name}.json").write_text(json.dumps(data), encoding="utf-8")
    english, spanish = load_set(tmp_path / "en.json"), load_set(tmp_path / "es.json")
    both = cross_lingual(spanish, english)
    assert both.queries[0].text == "¿qué?"
    assert both.passages == {"0": "the text"}
    (tmp_path / "bad.json").write_text('{"passages": []}')
    with pytest.raises(ValueError, match="question set"):
        load_set(tmp_path / "bad.json")
