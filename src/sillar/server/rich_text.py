"""An answer's Markdown as a tree of allowed elements, which the page builds node by node.

No HTML is made, so none can be smuggled in: what is not in the table below becomes text or disappears.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

from sillar.documents.grounding import strip_markers

Node = str | list[Any]
"""A text, or [tag, child, ...]; a citation is ["cite", number]."""

TAGS = frozenset({
    "p", "strong", "em", "s", "code", "pre", "ul", "ol", "li", "blockquote", "hr", "br",
    "table", "thead", "tbody", "tr", "th", "td", "h3", "cite",
})  # fmt: skip
_DROPPED = frozenset({"a"})  # the words of a link stay, its address goes
_MARKER = re.compile(r"(?<!\S)\[(\d{1,4})\]")
_LAST_MARKER = re.compile(r"([^\n]*\S) (\[\d{1,4}\])")
_MAX_NAME = 80
_MAX_DEPTH = 20
_MAX_CHARS = 100_000

# A document must not give [1] a meaning of its own: no reference definitions, no raw HTML, no autolinks.
_MARKDOWN = (
    MarkdownIt("commonmark", {"html": False, "maxNesting": _MAX_DEPTH})
    .enable(["table", "strikethrough"])
    .disable(["reference", "html_block", "html_inline", "autolink"])
)


def render(text: str, quotes: Mapping[int, str]) -> list[Node]:
    """The answer's blocks. `quotes`: citation number -> what it quotes.

    A part of the answer that is such a quote is no Markdown: its characters stand as in the document.
    """
    nodes: list[Node] = []
    literal = [f"{strip_markers(quote)} [{number}]" for number, quote in quotes.items()]
    found = re.compile("|".join(f"({re.escape(text)})" for text in literal) or r"(?!)")
    end = 0
    for match in found.finditer(text := text[:_MAX_CHARS]):
        nodes += _markdown(text[end : match.start()], quotes)
        nodes += [_quoted(part, quotes) for part in match[0].split("\n\n") if part.strip()]
        end = match.end()
    return nodes + _markdown(text[end:], quotes)


def _quoted(part: str, quotes: Mapping[int, str]) -> Node:
    """A paragraph of a quote; a row of a document's table (`name: cell | name: cell`) as a table again."""
    match = _LAST_MARKER.fullmatch(part)
    cells = [cell.partition(": ") for cell in (match[1] if match else part).split(" | ")]
    if len(cells) < 2 or not all(0 < len(name) <= _MAX_NAME and value for name, _, value in cells):
        return ["p", *_lines(part, quotes)]
    marker = [] if match is None else [" ", *_cited(match[2], quotes)]
    rows: list[Node] = [["tr", ["th", name], ["td", value]] for name, _, value in cells[:-1]]
    name, _, value = cells[-1]
    return ["table", ["tbody", *rows, ["tr", ["th", name], ["td", value, *marker]]]]


def _markdown(text: str, quotes: Mapping[int, str]) -> list[Node]:
    return list(_nodes(iter(_MARKDOWN.parse(text)), quotes, 0)) if text.strip() else []


def _nodes(tokens: Iterator[Token], quotes: Mapping[int, str], depth: int) -> Iterator[Node]:
    """The nodes up to the closing token of the level that was opened last."""
    for token in tokens:
        if token.nesting < 0:
            return
        if token.nesting > 0:
            inner = list(_nodes(tokens, quotes, depth + 1))
            tag = "h3" if re.fullmatch("h[1-6]", token.tag) else token.tag
            if token.hidden or tag in _DROPPED or tag not in TAGS or depth > _MAX_DEPTH:
                yield from inner
            else:
                yield [tag, *inner]
        else:
            yield from _leaf(token, quotes, depth)


def _leaf(token: Token, quotes: Mapping[int, str], depth: int) -> Iterator[Node]:
    match token.type:
        case "inline":
            yield from _nodes(iter(token.children or ()), quotes, depth)
        case "text":
            yield from _cited(token.content, quotes)
        case "softbreak":
            yield "\n"
        case "hardbreak":
            yield ["br"]
        case "code_inline":
            yield ["code", token.content]
        case "fence" | "code_block":
            yield ["pre", ["code", token.content.rstrip("\n")]]
        case "hr":
            yield ["hr"]
        case _:  # images leave their description
            yield token.content


def _cited(text: str, quotes: Mapping[int, str]) -> Iterator[Node]:
    """Text with [n] as citations, where there is an n."""
    position = 0
    for match in _MARKER.finditer(text):
        number = int(match[1])
        if number in quotes:
            if match.start() > position:
                yield text[position : match.start()]
            yield ["cite", number]
            position = match.end()
    if position < len(text):
        yield text[position:]


def _lines(text: str, quotes: Mapping[int, str]) -> Iterator[Node]:
    for i, line in enumerate(text.split("\n")):
        if i:
            yield ["br"]
        yield from _cited(line, quotes)
