"""Passages that quote a question to send the reader elsewhere: they name its answer and do not give it."""

from __future__ import annotations

import re
from collections.abc import Iterator

_WORDS = (3, 48)
"""Of a question: with fewer a quotation is no sign of anything, with more nobody quotes it."""
_WORD = re.compile(r"\w+")
_SENTENCE_START = re.compile(r"[.:;!?…][\"'”’»)\]]*\s+")
_NO_WORD = re.compile(r"[^\w\n]*")
_CLOSING = frozenset("\"'”’»)]")


def without_references(text: str, question: str) -> str:
    """`text` without its quotations of the question inside other sentences ("See also How do I ...?").

    A question that stands for itself, as in a FAQ written as plain text, stays. Most texts come back as they
    are, the same object.
    """
    kept, at = [], 0
    for start, end in _quotations(text, question):
        kept.append(text[at:start])
        at = end
    return "".join([*kept, text[at:]]) if kept else text


def _quotations(text: str, question: str) -> Iterator[tuple[int, int]]:
    asked = _WORD.findall(question)
    if not _WORDS[0] <= len(asked) <= _WORDS[1]:
        return
    pattern = r"[^\w\n]{1,8}".join(map(re.escape, asked))
    for found in re.finditer(rf"(?<!\w){pattern}(?!\w)", text.replace("\n", " "), re.IGNORECASE):
        if _within_sentence(text, found.start()) and _ends_there(text, found.end()):
            yield found.span()


def _within_sentence(text: str, start: int) -> bool:
    """Whether words, not only a number, stand before it in its sentence and line."""
    line = text[:start].rpartition("\n")[2]
    sentence = _SENTENCE_START.split(line)[-1]
    return any(not word.isdigit() for word in _WORD.findall(sentence))


def _ends_there(text: str, end: int) -> bool:
    """Whether a question mark or what closes a quotation follows."""
    found = _NO_WORD.match(text, end)
    return found is not None and ("?" in found[0] or not _CLOSING.isdisjoint(found[0]))
