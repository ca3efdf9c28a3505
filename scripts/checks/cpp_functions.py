"""Finds C++ functions and their lengths with a small scanner, enough for the style of native/."""

from __future__ import annotations

import re
from collections.abc import Iterator

_NOISE = re.compile(
    r"""//[^\n]* | /\*.*?\*/ | R"(?P<tag>[^\s()]*)\(.*?\)(?P=tag)" | "(?:\\.|[^"\\\n])*"
        | '(?:\\.|[^'\\\n])+'(?!\w) | ^[ \t]*\#(?:\\\n|[^\n])*""",
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)
_TYPE = re.compile(
    r"^\s*(?:template\s*<.*>\s*)?(?:typedef\s+|static\s+)?(?:class|struct|union|enum|namespace|extern)\b"
)


def functions(source: str) -> Iterator[tuple[str, int, int]]:
    """Yields (signature, first line, lines) for each function body, members included, lambdas not."""
    text = _NOISE.sub(lambda match: "\n" * match.group().count("\n"), source)
    start, position = 0, 0
    while position < len(text):
        char = text[position]
        if char == "{":
            header = text[start:position]
            if header and not header[-1].isspace():  # a brace initialiser inside a declaration
                position = _closing(text, position)
            elif _opens_function(header):
                end = _closing(text, position)
                begin = start + len(header) - len(header.lstrip())
                lines = text.count("\n", begin, end) + 1
                yield " ".join(header.split()), text.count("\n", 0, begin) + 1, lines
                position, start = end, end + 1
            elif re.search(r"=\s*$", header):
                position = _closing(text, position)
            else:
                start = position + 1
        elif char in ";}":
            start = position + 1
        position += 1


def _opens_function(header: str) -> bool:
    outside = _without_parentheses(re.sub(r"operator\s*[^\s\w(]+", "operator", header))
    return "(" in header and "=" not in outside and not _TYPE.match(header)


def _without_parentheses(text: str) -> str:
    while True:
        shorter = re.sub(r"\([^()]*\)", "", text)
        if shorter == text:
            return text
        text = shorter


def _closing(text: str, position: int) -> int:
    """Index of the brace that closes the one at `position`, or the last index."""
    depth = 0
    for index in range(position, len(text)):
        depth += {"{": 1, "}": -1}.get(text[index], 0)
        if depth == 0:
            return index
    return len(text) - 1
