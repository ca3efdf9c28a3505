"""Exact match, F1 and containment of answers, as SQuAD normalises them, for English and Spanish."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from sillar.documents.language import words

_ARTICLES = frozenset({"a", "an", "the", "el", "la", "los", "las", "un", "una", "unos", "unas"})


def normalise(text: str) -> list[str]:
    """Folded words without articles and citation markers."""
    return [word for word in words(re.sub(r"\[\d+\]", " ", text)) if word not in _ARTICLES]


def exact_match(answer: str, gold: Sequence[str]) -> float:
    return float(any(normalise(answer) == normalise(one) for one in gold))


def f1(answer: str, gold: Sequence[str]) -> float:
    """Best F1 over words against any gold answer."""
    return max((_f1(normalise(answer), normalise(one)) for one in gold), default=0.0)


def _f1(answer: Sequence[str], gold: Sequence[str]) -> float:
    common = sum((Counter(answer) & Counter(gold)).values())
    return 2 * common / (len(answer) + len(gold)) if common else 0.0


def contained(answer: str, gold: Sequence[str]) -> float:
    """1 when a gold answer's words stand in the answer, in a row."""
    said = f" {' '.join(normalise(answer))} "
    return float(any(f" {' '.join(normalise(one))} " in said for one in gold if normalise(one)))
