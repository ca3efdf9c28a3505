"""Markdown into blocks, through markdown-it's CommonMark tokens; raw HTML inside loses its tags."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from markdown_it import MarkdownIt
from markdown_it.token import Token

from sillar.documents.document import BlockKind, Document, DocumentBuilder
from sillar.documents.ingest.detect import decode
from sillar.documents.ingest.tables import row_line

_TAG = re.compile(r"<!--.*?-->|<(script|style)\b.*?</\1\s*>|<[^>]*>", re.S | re.I)
_FRONT_MATTER = re.compile(r"\A---\n(.*?)\n(?:---|\.\.\.)\n", re.S)
_TITLE = re.compile(r"^title:\s*[\"']?(.+?)[\"']?\s*$", re.M)


def parse_markdown(data: bytes) -> Document:
    """Blocks with line ranges. Raises DocumentError when the bytes are no text."""
    text = decode(data)
    builder = DocumentBuilder("text/markdown")
    if front := _FRONT_MATTER.match(text):
        if title := _TITLE.search(front.group(1)):
            builder.title = title.group(1)[:200]
        text = "\n" * front.group().count("\n") + text[front.end() :]
    tokens = MarkdownIt("commonmark", {"maxNesting": 20}).enable("table").parse(text)
    state = _State(builder)
    opener: Token | None = None
    for token in tokens:
        if token.type == "inline":
            state.inline(token, opener)
        else:
            state.other(token)
        opener = token
    return builder.build()


@dataclass(slots=True)
class _State:
    """Where in lists and tables the token stream is."""

    builder: DocumentBuilder
    depth: int = 0
    cells: list[str] | None = None
    header: list[str] = field(default_factory=list)
    row: tuple[int, int] | None = None

    def inline(self, token: Token, opener: Token | None) -> None:
        content = inline_text(token.children or ())
        if self.cells is not None:
            self.cells.append(content)
            return
        level = int(opener.tag[1]) if opener is not None and opener.type == "heading_open" else 0
        kind: BlockKind = "heading" if level else "list" if self.depth else "paragraph"
        self.builder.add(kind, content, level=level, lines=_lines(token))

    def other(self, token: Token) -> None:
        match token.type:
            case "list_item_open" | "list_item_close":
                self.depth += token.nesting
            case "table_open":
                self.header = []
            case "table_close" if self.header and self.builder.blocks[-1].kind != "table":
                self.builder.add("table", row_line(self.header, None), lines=self.row)
            case "tr_open":
                self.cells, self.row = [], _lines(token)
            case "tr_close":
                self._end_row(self.cells or [])
                self.cells = None
            case "fence" | "code_block":
                self.builder.add("code", token.content, lines=_lines(token))
            case "html_block":
                content = " ".join(_TAG.sub(" ", token.content).split())
                self.builder.add("paragraph", content, lines=_lines(token))

    def _end_row(self, cells: list[str]) -> None:
        """The first row of a table names its columns; each other one is a block."""
        if self.header:
            self.builder.add("table", row_line(cells, self.header), lines=self.row)
        else:
            self.header = cells


def _lines(token: Token) -> tuple[int, int] | None:
    return (token.map[0] + 1, max(token.map[0] + 1, token.map[1])) if token.map else None


def inline_text(children: Sequence[Token]) -> str:
    """What a reader sees of inline tokens: no link targets, no image sources, no tags."""
    parts = []
    for child in children:
        if child.type in ("text", "code_inline"):
            parts.append(child.content)
        elif child.type in ("softbreak", "hardbreak"):
            parts.append(" ")
        elif child.type == "image":
            parts.append(inline_text(child.children or ()))
    return " ".join("".join(parts).split())
