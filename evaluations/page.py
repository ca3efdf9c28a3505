"""docs/evaluation.md from the figures that evaluations.report keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from evaluations.bars import Bar, judged

_INTRODUCTION = """# Evaluation

Written by `make evaluate` from docs/evaluation.json; a section that was not measured is missing, the last
table says when each was. Everything is measured through the index, search and answers that a user
gets, with the default embedder (multilingual-e5-small, 4 bits). Vectors are kept in the user's cache
folder between runs, so a second run is quick and gives the same figures.

The sets are XQuAD development questions (632 over 120 paragraphs a language, translations of each other;
not part of this repository, CC-BY-SA-4.0). `make evaluate` fetches the whole of XQuAD (1190 over 240) from
github.com/google-deepmind/xquad, `SETS="EN.json ES.json"` names other sets. Weights and thresholds were
chosen on the development questions: where a figure is not cross-validated it is one of development data.
"""
_BARS = """## The bars

| | set | bar | measured | |
|---|---|---|---|---|
"""
_ELSEWHERE = """
Elsewhere (docs/benchmarks.md): search p95 of 10,000 chunks 26 ms (bar 60) and of 500,000 178 ms (bar
250), reached; indexing 1.65 times as fast as ONNX Runtime at its fastest, 3.3 times as with 32 texts a
call (bar 3), **missed**: docs/bars.md. Everyday questions that share no words with their answer are still
refused more often than not, and across two languages mostly so; a refusal shows where to look, which for
most of them is the passage that answers (below).
"""
_RETRIEVAL = """## Retrieval

    python -m evaluations.retrieval xquad-en.json xquad-es.json --json
    python -m evaluations.retrieval xquad-es.json --passages-of xquad-en.json --json

"""
_FUSION = """
BM25 and cosine are added after normalisation (sillar/documents/fusion.py): BM25 has a share of .20 where
question and passages share a language and .15 where they do not. Near-duplicates of a better passage are
folded.
"""
_FAQ = """## Retrieval: FAQs and manuals from Debian packages

    python -m evaluations.faq --out DIR
    python -m evaluations.retrieval DIR/technical-faq-en.json DIR/headings-es.json --json
    python -m evaluations.retrieval DIR/technical-faq-en.json --second-look --json

English: the questions of the FAQs of Python, Debian and Perl. Spanish: headings of the maintainers' guide
and of the Debian Edu manual, which are mostly no questions. The passages are what stands below a heading,
without it. Second look: the order in which an answer reads them, where the default language model has
weighed those that the search finds nearly equal (documents/likelihood.py). A passage that only quotes the
question to point elsewhere is scored by what else it says (documents/references.py): found by reading this
set's misses, without a figure to fit.

"""
_QUOTE = """## Answers without a language model

    python -m evaluations.answers xquad-en.json xquad-es.json --style quote --unanswerable --json

The answer is the sentence that scores best: its cosine, how much of the question it and its passage say
token by token (documents/late_interaction.py), the question's words that it holds weighed by their rarity,
its passage's score, whether it holds the time or the number that is asked for (documents/answer_kind.py);
across languages also the words that mean the same (documents/alignment.py).
Unanswerable: the same questions with their own paragraph out of the index; the other paragraphs of its
article stay. Contained cannot be read across languages, where answer and passage are in different ones.

"""
_CALIBRATION = """## Risk and coverage

    python -m evaluations.calibrate xquad-en.json xquad-es.json --write --curve docs/risk-coverage.svg

![unanswerable questions refused by answerable questions refused](risk-coverage.svg)

Support is a logistic regression, one where question and passages share a language and one where they do
not. The tables are in sillar/documents/calibration.py. These figures are cross-validated: articles are
dealt into 8 folds, and each is scored with weights fitted on the others.

| pairing | rows | AUC | refused at 3 % | at 5 % | at 8 % | at 10 % | threshold |
|---|---|---|---|---|---|---|---|
"""
_GAPS = """## Gaps: unanswered questions that ask the same

    python -m evaluations.gaps

Questions of a help desk, English and Spanish, up to five wordings of each, with neighbours that share words
and subject. Over pairs of questions that stand, or should stand, in one group. Small: journals of four
groups.
One author wrote all; thresholds were chosen on dev.

"""
_MEASURED = """## When

Seconds by the clock, other work on the machine included.

| section | measured | seconds | |
|---|---|---|---|
"""
_SHIPPED = """## At the thresholds that ship

The weights and thresholds of sillar/documents/calibration.py on the sets that they were fitted on. Answers
refuse a little more: where no sentence holds the time or the number that is asked for.

"""
_QUESTIONS = """## Whole questions over real manuals

    python -m evaluations.ask
    python -m evaluations.followups

Twenty questions over Debian's reference manual (HTML and PDF, English and Spanish) and Python's tutorial,
FAQ and HOWTOs: right means the right document in the first citation; the bar is 17. Follow-ups, English
and Spanish: right means the right section in the first citation.

"""
_EVERYDAY = """## Everyday questions, and another event of the same name

    python -m evaluations.everyday --half test

Questions in words of their own over short documents of six made-up companies
(evaluations/everyday.json), asked without a language model. Everyday: "Can I send it back?" to a
returns policy. Events: "When was Anna born?" where the documents say when Anna joined. Right, wrong
(another sentence) and refused are of what the documents answer; shown are those refused whose passage
stands among the three nearest, which a refusal shows; kept (refused, as it should be) and
taken are of what they do not. Thresholds were chosen on dev. One author wrote dev and test, and then
the lists of near words (documents/near_words.py, relation_words.py), so test flatters them; later was
written after these, and nothing was changed for it: it says best what to expect.

"""
_GENERATED = """## Answers with a language model

    python -m evaluations.report --sets xquad-en.json xquad-es.json --only generated --models "" NAME

A sample of questions, seed {seed}. The quote comes first; the model's own words follow where the passages
support them, a small model's only where they agree with the quote. Contained is of all that is shown. Times
are of two cores, nothing cached. Rows of a model that was not asked in the last run are of an earlier one.

"""
_SPEED = """## Speed of indexing and search

    python -m evaluations.retrieval xquad-en.json xquad-es.json --json

Two cores, every text embedded anew.

"""


def render(kept: Mapping[str, Any]) -> str:
    """The whole page."""
    parts = [_INTRODUCTION]
    if bars := [_bar(*one) for one in judged(kept)]:
        parts.append(_BARS + "".join(bars) + _ELSEWHERE)
    columns = ("recall@1", "recall@5", "recall@10", "mrr", "ndcg@10")
    if "retrieval" in kept:
        parts.append(_RETRIEVAL + table(kept["retrieval"]["sets"], ("name", "queries", *columns)) + _FUSION)
    if "faq" in kept:
        parts.append(_FAQ + table(kept["faq"]["sets"], ("name", "queries", *columns)))
    if "quote" in kept:
        shown = ("name", "contained", "citation_precision", "citation_recall", "abstention_rate",
                 "unanswerable_refused")  # fmt: skip
        parts.append(_QUOTE + table(kept["quote"]["sets"], shown))
    if "calibration" in kept:
        parts.append(_CALIBRATION + "".join(_fit(fit) for fit in kept["calibration"]["fits"]))
    if "questions" in kept:
        parts.append(_QUESTIONS + _questions(kept["questions"]))
    if "everyday" in kept:
        shown = ("half", "name", "kind", "right", "wrong", "refused", "shown", "kept", "taken")
        parts.append(_EVERYDAY + table(kept["everyday"]["sets"], shown))
    if "generated" in kept:
        shown = ("model", "name", "queries", "contained", "citation_precision", "abstention_rate",
                 "generated_rate", "ttft_p50_s", "ttft_p95_s", "total_p50_s", "total_p95_s")  # fmt: skip
        parts.append(
            _GENERATED.format(seed=kept["generated"]["seed"]) + table(kept["generated"]["sets"], shown)
        )
    if "shipped" in kept:
        parts.append(
            _SHIPPED + table(kept["shipped"]["sets"], ("name", "abstention_rate", "unanswerable_refused"))
        )
    if "speed" in kept:
        shown = ("name", "passages_per_second", "search_p50_ms", "search_p95_ms")
        parts.append(_SPEED + table(kept["speed"]["sets"], shown))
    if "gaps" in kept:
        shown = ("name", "questions", "groups", "precision", "recall", "f1", "f1_small")
        parts.append(_GAPS + table(kept["gaps"]["sets"], shown))
    if "measured" in kept:
        parts.append(_MEASURED + "".join(_when(name, one) for name, one in kept["measured"].items()))
    return "\n".join(parts)


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """A Markdown table; shares with three places."""
    titles = [column.replace("_", " ") for column in columns]
    lines = [f"| {' | '.join(titles)} |", "|" + "---|" * len(columns)]
    lines += [f"| {' | '.join(_cell(row.get(column, '')) for column in columns)} |" for row in rows]
    return "\n".join(lines) + "\n"


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"
    return str(value)


def _bar(bar: Bar, name: str, value: float, reached: bool) -> str:
    verdict = "reached" if reached else "**missed**"
    return f"| {bar.what} | {name} | {bar.relation} {bar.bar:.2f} | {value:.3f} | {verdict} |\n"


def _when(name: str, one: Mapping[str, Any]) -> str:
    return f"| {name} | {one['date']} | {one.get('seconds', '')} | {one.get('note', '')} |\n"


def _fit(fit: Mapping[str, Any]) -> str:
    shares = " | ".join(_cell(float(share)) for share in fit["refused"].values())
    name = fit["name"].replace("_", " ").lower()
    return f"| {name} | {fit['rows']} | {fit['auc']:.3f} | {shares} | {fit['threshold']} |\n"


def _questions(figures: Mapping[str, Any]) -> str:
    whole, plain = figures["followups"], figures["followups_plain"]
    wrong = "".join(f" Not right: {question!r}." for question in figures.get("wrong", ()))
    twenty = f"Right: {figures['right']} of {figures['questions']}.{wrong}\n\n" if "right" in figures else ""
    return twenty + (
        f"Follow-ups right: {whole['right']} of {whole['questions']}, {whole['refused']} refused; asked as "
        f"they stand, without the questions before them: {plain['right']}, {plain['refused']} refused. "
        f"Questions that stand for themselves and were changed: {whole['changed_wrongly']}.\n"
    )
