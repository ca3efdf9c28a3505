"""The figures that evaluations report, on cases that can be checked by hand."""

from __future__ import annotations

import argparse
import json
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from evaluations import report
from evaluations.bars import judged
from evaluations.calibrate import fit_rows
from evaluations.corpora import CorpusError
from evaluations.curve import draw
from evaluations.hidden import hidden
from evaluations.page import render
from evaluations.retrieval import figures
from evaluations.sets import QuestionSet, as_documents, cross_lingual, load_set
from evaluations.text_scores import contained, exact_match, f1
from evaluations.xquad import convert, fetch
from tests.documents.fakes import open_index
from tests.loopback import serving


def test_retrieval_figures() -> None:
    result = figures([[0], [2], []], [1, 1, 1])
    assert result == {
        "recall@1": 0.3333,
        "recall@5": 0.6667,
        "recall@10": 0.6667,
        "mrr": 0.4444,
        "ndcg@10": 0.5,
    }


def test_bars_are_reached_or_missed_by_the_set_that_they_are_about() -> None:
    sets = [
        {"name": "xquad-en-dev", "recall@1": 0.95},
        {"name": "xquad-es-dev", "recall@1": 0.92},
        {"name": "xquad-es-dev-over-xquad-en-dev", "recall@1": 0.9},
    ]
    answers = [{"name": "xquad-es-dev", "model": "default", "contained": 0.6, "ttft_p50_s": 0.6}]
    found = judged({"retrieval": {"sets": sets}, "generated": {"sets": answers}})
    assert [(bar.what, name, reached) for bar, name, _, reached in found] == [
        ("recall@1, English", "xquad-en-dev", True),
        ("recall@1, Spanish", "xquad-es-dev", False),
        ("recall@1, across languages", "xquad-es-dev-over-xquad-en-dev", True),
        ("contained, 135M model, Spanish", "xquad-es-dev default", True),
        ("first words, seconds p50, 135M model", "xquad-es-dev default", False),
    ]


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


async def test_a_hidden_passage_is_gone_and_comes_back(tmp_path: Path) -> None:
    questions = QuestionSet("s", "en", {"0-0": "The king died in 1547.", "0-1": "Coffee is free."}, ())
    async with open_index(tmp_path / "i.db") as index:
        await index.add_documents("s", as_documents(questions.passages))
        async with hidden(index, questions, ("0-0",)):
            assert [p.document for p in await index.search("When did the king die?", 5)] == ["0-1"]
        assert (await index.search("When did the king die?", 5))[0].document == "0-0"


def test_a_fit_separates_what_can_be_separated() -> None:
    rows = [({"a": float(i % 2) + i / 1000, "b": 0.0}, bool(i % 2), str(i % 16)) for i in range(320)]
    fit = fit_rows("SAME_LANGUAGE", rows, 0.05)
    assert fit.auc == 1.0
    assert fit.refused[0.05] == 1.0
    assert fit.weights["a"] > 0
    assert draw({"one": fit.points}).count("<polyline") == 1


def test_the_page_shows_the_sections_that_were_measured() -> None:
    page = render({"faq": {"sets": [{"name": "f", "queries": 3, "recall@1": 0.5}]}})
    assert "| f | 3 | 0.500 |" in page
    assert "Risk and coverage" not in page


def test_xquads_own_files_become_sets() -> None:
    asked = {"question": "Who?", "answers": [{"text": "He"}, {"text": "He"}]}
    data = {"data": [{"paragraphs": [{"context": "He did.", "qas": [asked]}]}]}
    result = convert(data, "xquad-en", "en")
    assert result["passages"] == [{"id": "0-0", "text": "He did."}]
    assert result["queries"] == [{"q": "Who?", "gold": ["0-0"], "answer": ["He"]}]


def test_xquad_is_fetched_once_and_a_page_that_is_not_xquad_is_refused(tmp_path: Path) -> None:
    fetched: list[str] = []

    class Files(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            fetched.append(self.path)
            asked = {"question": "Who?", "answers": [{"text": "He"}]}
            found = {"data": [{"paragraphs": [{"context": "He did.", "qas": [asked]}]}]}
            body = b"<html>" if self.path.startswith("/bad") else json.dumps(found).encode()
            self.send_response(404 if self.path.startswith("/none") else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with serving(Files) as address:
        for _ in range(2):
            english, spanish = fetch(address, tmp_path / "sets")
        assert load_set(english).queries[0].answers == ("He",)
        assert load_set(spanish).language == "es"
        assert fetched == ["/xquad.en.json", "/xquad.es.json"]
        for place in ("bad", "none"):
            with pytest.raises(CorpusError):
                fetch(f"{address}/{place}", tmp_path / place)
        assert not list((tmp_path / "bad").iterdir())


def test_a_report_keeps_the_models_that_were_not_asked_and_says_when(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def generated(arguments: argparse.Namespace) -> dict[str, Any]:
        return {
            "sets": [{"model": name, "name": "s", "contained": 0.5} for name in arguments.models],
            "seed": 0,
        }

    monkeypatch.setitem(report.SECTIONS, "generated", (generated, False))
    for model in ("a", "b"):
        options = argparse.Namespace(docs=tmp_path, only=["generated"], sets=[], models=[model])
        report.measure(options)
    kept = json.loads((tmp_path / "evaluation.json").read_text(encoding="utf-8"))
    assert [row["model"] for row in kept["generated"]["sets"]] == ["b", "a"]
    assert "| generated | 2" in (tmp_path / "evaluation.md").read_text(encoding="utf-8")
