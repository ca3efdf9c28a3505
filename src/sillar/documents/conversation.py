"""Follow-up questions made whole: what they leave out is taken from the questions before them.

Deterministic, English and Spanish: a question that points back (a pronoun, "and ...", "¿y ...?") or says
too little on its own is searched together with the question that it goes on from.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sillar.documents.alignment import content_words
from sillar.documents.language import detect_language, fold, words
from sillar.documents.word_lists import word_set

_MOST_TURNS = 3
"""Questions that one question may go on from, each from the one before."""
_MOST_CARRIED = 300
"""Characters of earlier questions that are searched along."""

_POINTS_BACK = {
    "en": word_set("it its itself they them their theirs he him his she her hers these those mine one ones"),
    "es": word_set("eso esto ello ella ellos ellas aquello su sus suyo suya suyos suyas"),
}
_OPENERS = re.compile(
    r"^\W*(?:and|but|or|so|also|then|what about|how about|y|e|pero|o|entonces|ademas|que tal|que hay de)\b"
)
_POINTING = re.compile(
    r"\b(?:is|are|does|do|did|can|about|like|after|before|with(?:out)?|for|of|to|from|why|how) th(?:at|is)\b"
    r"|\b(?:from|in|over|up) there\b|\bthe same\b|\bthe (?:other|first|second|former|latter) one\b"
    r"|\b(?:el|la|lo) mismo\b|\bahi\b|\balli\b|\bde (?:ese|esa|este|esta)\b"
    r"|\w+(?:ar|er|ir|ando|iendo|endo)(?:lo|la|los|las|le|les)\b"
    r"|\b(?:lo|los|las|le|les) (?!que\b|cual\b|mas\b|de\b)\w+(?:o|an?|as|[ae]?mos|en?|es|[aei]r)\b(?=\W*$)"
)
"""Folded text that names something said before: "like that", "ahí", "borrarlo", "¿cómo lo borro?"."""
_EMPTY_IT = re.compile(r"\bit (?:is |be )?(?:possible|necessary|safe|allowed|enough|better) (?:to|that)\b")


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side said before the question."""

    role: Literal["user", "assistant"]
    content: str


def goes_on(question: str) -> bool:
    """Whether a question cannot be understood without the one before."""
    plain = _EMPTY_IT.sub(" ", " ".join(fold(question).split()))
    if _OPENERS.search(plain) or _POINTING.search(plain) or "él" in question.casefold().split():
        return True
    pointers = _POINTS_BACK["es" if detect_language(question) == "es" else "en"]
    return not pointers.isdisjoint(words(plain)) or len(content_words(plain)) <= 1


def standalone(question: str, history: Sequence[Turn]) -> str:
    """The question as it should be searched: with the questions that it goes on from before it."""
    asked = [turn.content for turn in history if turn.role == "user" and turn.content.strip()]
    carried: list[str] = []
    current = question
    for earlier in reversed(asked[-_MOST_TURNS:]):
        if not goes_on(current):
            break
        carried.insert(0, " ".join(earlier.split())[:_MOST_CARRIED])
        current = earlier
    return " ".join([*carried, question]) if carried else question
