"""What a question asks about somebody or something, where a sentence shows whether it tells it: a birth, a
price, who leads. English and Spanish.

The relations are listed, each with the words that ask for it and the near forms that tell it; what is not
listed is not judged.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from sillar.documents.alignment import content_words
from sillar.documents.language import fold, stem, words
from sillar.documents.relation_words import RELATIONS

_LONGEST = 3
_LIFE = re.compile(r"\([^()\d]{0,24}\d{3,4}\s*[-–—]|[*†✝]\s*\d|\b\d{3,4}\s*[–—]\s*\d{3,4}\b")
"""The years of a life behind a name, which tell a birth and a death without a word."""
_CAPITALISED = re.compile(r"\b[^\W\d_a-zà-öø-ÿ][^\W_]*")
_MARKS = " ¿¡\"'“‘«("
_MONEY = re.compile(r"[$€£¥]\s?\d|\d\s?[$€£¥]")
_SIGNS = {"birth": _LIFE, "death": _LIFE, "cost": _MONEY}


@dataclass(frozen=True, slots=True)
class _Relation:
    """`asks`: forms in a question, as they are written; `tells`: those and near forms, and their stems."""

    asks: frozenset[str]
    tells: frozenset[str]
    sign: re.Pattern[str] | None


def shares_only_names(question: str, text: str, language: str) -> bool:
    """Whether no word of the question's stands in a text (in `language`) but as a name; or none at all.

    A name: what either of them writes with a capital, the question's first word aside.
    """
    said = set(words(text))
    said |= {stem(word, language) for word in said}
    names = {fold(word) for word in _CAPITALISED.findall(text)}
    names |= {
        fold(match[0]) for match in _CAPITALISED.finditer(question) if question[: match.start()].strip(_MARKS)
    }
    plain = (word for word in content_words(question) if word not in names)
    return all(said.isdisjoint((word, stem(word, language))) for word in plain)


def relation_check(question: str) -> Callable[[str, str], bool] | None:
    """Answers of a text, and its language, whether it tells any of the relations that the question asks for.

    None for a question that asks for none that is known.
    """
    asked = set(_runs(words(question)))
    wanted = [relation for relation in _relations() if not relation.asks.isdisjoint(asked)]
    if not wanted:
        return None

    def tells(text: str, language: str) -> bool:
        if text.rstrip().endswith(":"):
            return True  # what it announces may
        said = set(_forms(words(text), (language,)))
        return any(
            not one.tells.isdisjoint(said) or (one.sign is not None and one.sign.search(text) is not None)
            for one in wanted
        )

    return tells


@cache
def _relations() -> tuple[_Relation, ...]:
    return tuple(
        _Relation(
            frozenset(asks.split()),
            frozenset(_forms(f"{asks} {near}".split(), ("en", "es"))),
            _SIGNS.get(name),
        )
        for name, asks, near in RELATIONS
    )


def _runs(found: list[str]) -> Iterator[str]:
    """Each word, and up to three in a row, joined as the lists write them."""
    for length in range(1, _LONGEST + 1):
        for start in range(len(found) - length + 1):
            yield "_".join(found[start : start + length])


def _forms(found: list[str], languages: Sequence[str]) -> Iterator[str]:
    """The runs, and the words' stems, which stand for nothing in another language."""
    yield from _runs(found)
    for word in found:
        for language in languages:
            yield f"{language}:{stem(word, language)}"
