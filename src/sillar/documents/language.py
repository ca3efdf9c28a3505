"""Language of a text by its commonest words, word tokens with diacritics folded, and stems for BM25."""

from __future__ import annotations

import re
import threading
import unicodedata
from functools import lru_cache

import Stemmer

from sillar.documents.word_lists import COMMON_WORDS, STOP_WORDS

DEFAULT_LANGUAGE = "en"

_LANGUAGES_OF: dict[str, list[str]] = {}
for _language, _words in COMMON_WORDS.items():
    for _word in _words:
        _LANGUAGES_OF.setdefault(_word, []).append(_language)
_VOTES = {
    word: [(language, 1.0 / len(languages)) for language in languages]
    for word, languages in _LANGUAGES_OF.items()
}

_ALGORITHMS = {
    "en": "english",
    "es": "spanish",
    "pt": "portuguese",
    "fr": "french",
    "de": "german",
    "it": "italian",
}
_WORD = re.compile(r"[^\W_]+(?:_[^\W_]+)*")
_RUNS = re.compile(r"\w+")
_SPANISH_MARKS = re.compile(r"[¿¡ñ]|ción\b|\wmente\b")


def detect_language(text: str, default: str = DEFAULT_LANGUAGE) -> str:
    """ISO 639-1 code of the language whose commonest words make up most of `text`."""
    counts = dict.fromkeys(COMMON_WORDS, 0.0)
    for word in filter(_VOTES.__contains__, _RUNS.findall(text[:6000].lower())):
        for language, vote in _VOTES[word]:
            counts[language] += vote
    if _SPANISH_MARKS.search(text[:6000]):
        counts["es"] += 0.75
    best = max(counts, key=lambda language: counts[language])
    return best if counts[best] > 0 else default


class _WithoutMarks(dict[int, int | None]):
    """For str.translate: combining characters go, the others stay; filled as characters are met."""

    def __missing__(self, code: int) -> int | None:
        kept = None if unicodedata.combining(chr(code)) else code
        if len(self) < _MAX_REMEMBERED:
            self[code] = kept
        return kept


_MAX_REMEMBERED = 1 << 14
_WITHOUT_MARKS = _WithoutMarks()


def fold(text: str) -> str:
    """Lower case without diacritics."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFKD", text.casefold()).translate(_WITHOUT_MARKS)


def words(text: str) -> list[str]:
    """Word tokens of the folded text; identifiers with underscores stay whole."""
    return _WORD.findall(fold(text))


def trigrams(text: str) -> set[tuple[str, ...]]:
    """Each three words in a row; all of them where there are fewer."""
    tokens = words(text)
    return {tuple(tokens[i : i + 3]) for i in range(max(1, len(tokens) - 2))}


def is_stop_word(word: str) -> bool:
    """Whether a folded word carries no meaning for search, in English or Spanish."""
    return word in STOP_WORDS["en"] or word in STOP_WORDS["es"]


_stemmers = threading.local()  # a stemmer has state of its own: one thread, one stemmer


def _stemmer(language: str) -> Stemmer.Stemmer:
    if not hasattr(_stemmers, language):
        setattr(_stemmers, language, Stemmer.Stemmer(_ALGORITHMS[language], 0))
    return getattr(_stemmers, language)


@lru_cache(maxsize=200_000)
def stem(word: str, language: str) -> str:
    """The Snowball stem of a folded word; the word itself in a language without a stemmer."""
    if language not in _ALGORITHMS or not word.isalpha():
        return word
    return str(_stemmer(language).stemWord(word))


def other_number(word: str) -> list[str]:
    """The English singular or plural of a folded word that Snowball's stems keep apart from it: of words
    without a vowel (SSDs, DVDs) and in -us (CPUs, menus).
    """
    if not word.isalpha() or len(word) < 2 or word.endswith("ss"):
        return []
    if word.endswith("s"):
        return [word[:-1]] if len(word) > 2 and stem(word, "en") == word else []
    return [f"{word}s"] if stem(f"{word}s", "en") == f"{word}s" else []


def stems(text: str, language: str) -> list[str]:
    """Stems of all words of a text."""
    return [stem(word, language) for word in words(text)]
