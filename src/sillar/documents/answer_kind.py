"""What kind of answer a question wants, where a sentence shows it: a time, a number. English and Spanish.

Expected answer types: Li and Roth, "Learning Question Classifiers", 2002.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from sillar.documents.language import words
from sillar.documents.word_lists import NUMBER_WORDS, TIME_WORDS

LANGUAGES = frozenset({"en", "es"})
_TIME = re.compile(
    r"^((and|but|by|since|till|until) )?when (am|is|are|was|were|do|does|did|has|have|had|will|would|can"
    r"|could|shall|should|may|might|must)\b"
    r"|\b(what|which) (year|date|day|month|decade|century|time)\b"
    r"|\b(que|cual) (ano|fecha|dia|mes|decada|siglo|hora)\b"
)
_CUANDO = re.compile(r"\bcuándo\b", re.IGNORECASE)
"""Without its accent it may begin a clause, as "when" does without an auxiliary verb."""
_NUMBER = re.compile(r"\b(how (many|much)|cuant[oa]s?)\b")


def kind_check(question: str) -> Callable[[str], bool] | None:
    """Answers of a text whether it holds what the question asks for and does not say itself.

    None for a question that asks neither for a time nor for a number.
    """
    asked = words(question)
    line = " ".join(asked)
    if _TIME.search(line) or _CUANDO.search(question):
        named = TIME_WORDS
    elif _NUMBER.search(line):
        named = NUMBER_WORDS
    else:
        return None
    told = frozenset(asked)

    def holds(text: str) -> bool:
        if text.rstrip().endswith(":"):
            return True  # what it announces may
        new = (word for word in words(text) if word not in told)
        return any(word in named or any(map(str.isdigit, word)) for word in new)

    return holds
