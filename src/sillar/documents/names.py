"""Names that are more than their letters: options, paths, C++. Words as a search has them lose the rest."""

from __future__ import annotations

import re
from collections.abc import Sequence

_PUNCTUATION = "\"'“”‘’«»()[]{}<>`,;:!?¿¡…*"
_MOST = 8


def literal_names(question: str) -> list[str]:
    """What of a question begins or ends with a sign that belongs to it: `-S`, `/etc/fstab`, `C++`, `@INC`."""
    found = (token.lstrip(_PUNCTUATION).rstrip(_PUNCTUATION + "./-–—") for token in question.split())
    named = [token for token in found if _is_name(token)]
    return list(dict.fromkeys(named))[:_MOST]


def _is_name(token: str) -> bool:
    letters = [character for character in token if character.isalpha()]
    return bool(letters) and len(token) < 80 and not (token[0].isalnum() and token[-1].isalnum())


def share_named(text: str, names: Sequence[str]) -> float:
    """Share of the names that a text holds, 0..1. Case counts: `-s` and `-S` are two options."""
    return sum(_pattern(name).search(text) is not None for name in names) / len(names) if names else 0.0


def _pattern(name: str) -> re.Pattern[str]:
    before = r"(?<![\w-])" if name[0] == "-" or name[0].isalnum() else ""
    after = r"(?![\w-])" if name[-1].isalnum() else rf"(?!{re.escape(name[-1])})"
    return re.compile(before + re.escape(name) + after)
