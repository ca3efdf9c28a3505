"""HTML into blocks: the main content in reading order, without navigation, scripts or anything hidden."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from lxml import etree

from sillar.documents.document import BlockKind, Document, DocumentBuilder
from sillar.documents.ingest.detect import decode
from sillar.documents.ingest.html_table import HtmlTable
from sillar.documents.word_lists import word_set
from sillar.errors import DocumentError

_SKIPPED = word_set(
    """
    script style noscript template iframe object embed svg math canvas form button select textarea nav
    aside footer audio video head map dialog frameset applet
    """
)
_BLOCKS = word_set(
    """
    p div section article main header body html blockquote ul ol dl table tbody thead tfoot caption
    figure figcaption address details summary hr center fieldset
    """
)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_CHROME = re.compile(
    r"(?:\w+[-_])*(?:nav|navbar|navheader|navfooter|navigation|sidebar|sphinxsidebar\w*|breadcrumbs?|menu|footer|"
    r"cookie\w*|skip-?link)(?:[-_]\w+)*|toc|contents|related|headerlink",
    re.I,
)
"""Classes of what stands around the text. Whole names: "table-contents" is a table."""
_HIDDEN = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|opacity\s*:\s*0(?:\.0*)?(?:;|$)|font-size\s*:\s*0", re.I
)
_MAX_ELEMENTS = 2_000_000


def parse_html(data: bytes) -> Document:
    """Blocks of a page. Nothing is fetched and no entity is expanded; DocumentError when nothing can be
    read.
    """
    text = decode(data, markup=True)
    parser = etree.HTMLParser(no_network=True, remove_comments=True, remove_pis=True, huge_tree=False,
                              encoding="utf-8")  # fmt: skip
    try:
        root = etree.fromstring(text.encode("utf-8", "replace"), parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise DocumentError(f"Its HTML cannot be read: {error}.") from None
    if root is None:
        return DocumentBuilder("text/html").build()
    title = " ".join("".join(root.xpath("string(//head/title[1])")).split())
    walker = _Walker(DocumentBuilder("text/html", title[:200]))
    walker.walk(_main_content(root))
    return walker.builder.build()


def _main_content(root: Any) -> Any:
    """The element that holds the text proper, when the page says which."""
    for path in ("//main", "//*[@role='main']", "//body//article", "//body"):
        found = root.xpath(path)
        if len(found) == 1 or (found and path == "//body"):
            return found[0]
    return root


def _is_skipped(element: Any) -> bool:
    tag = element.tag
    if not isinstance(tag, str) or tag in _SKIPPED:
        return True
    attributes = element.attrib
    if not attributes or tag in ("body", "main", "html"):
        return False
    if "hidden" in attributes or attributes.get("aria-hidden") == "true":
        return True
    if attributes.get("role") in ("navigation", "search", "banner", "contentinfo", "menu"):
        return True
    if _HIDDEN.search(attributes.get("style", "")):
        return True
    return any(_CHROME.fullmatch(name) for name in attributes.get("class", "").split())


@dataclass(slots=True)
class _Walker:
    """Turns the event stream of a tree, never recursive, into blocks."""

    builder: DocumentBuilder
    buffer: list[str] = field(default_factory=list)
    line: int | None = None
    items: int = 0
    preformatted: int = 0
    table: HtmlTable | None = None
    tables: int = 0

    def walk(self, root: Any) -> None:
        events = etree.iterwalk(root, events=("start", "end"))
        skipped: Any = None
        for count, (event, element) in enumerate(events):
            if count > _MAX_ELEMENTS:
                raise DocumentError("Its HTML has too many elements.")
            if event == "start":
                if element is not root and _is_skipped(element):
                    skipped = element
                    events.skip_subtree()
                    continue
                self.start(element.tag, element)
            else:
                if element is skipped:
                    skipped = None
                else:
                    self.end(element.tag, element)
                if element is not root and element.tail:
                    self.text(element.tail)
        self.flush("paragraph")

    def text(self, text: str) -> None:
        self.buffer.append(text if self.preformatted else re.sub(r"\s+", " ", text))

    def start(self, tag: str, element: Any) -> None:
        if tag == "table":
            if self.table is None:
                self.flush("list" if self.items else "paragraph")
            self.tables += 1
            self.table = self.table or HtmlTable(self.builder)
        elif self.table is not None:
            self._start_in_table(tag, self.table)
        elif tag == "pre":
            self.flush("paragraph")
            self.preformatted += 1
        elif tag in ("li", "dt", "dd"):
            self.flush("list" if self.items else "paragraph")
            self.items += 1
        elif tag in _HEADINGS or tag in _BLOCKS:
            self.flush("list" if self.items else "paragraph")
        if tag == "br":
            self.buffer.append("\n" if self.preformatted else " ")
        if self.line is None:
            self.line = element.sourceline
        if element.text:
            self.text(element.text)

    def _start_in_table(self, tag: str, table: HtmlTable) -> None:
        if tag == "tr" and self.tables == 1:
            table.start_row()
            self.buffer.clear()
        elif tag in ("td", "th", "caption") and self.tables == 1:
            self.buffer.clear()
        elif tag in _BLOCKS or tag in _HEADINGS or tag in ("li", "dt", "dd", "pre", "tr", "td", "th"):
            self.buffer.append(" ")

    def end(self, tag: str, element: Any) -> None:
        if tag == "table" and self.table is not None:
            self.tables -= 1
            if self.tables == 0:
                self.buffer.clear()
                self.table.end()
                self.table = self.line = None
        elif self.table is not None:
            if self.tables == 1:
                self._end_in_table(tag, element, self.table)
        elif tag == "pre":
            self.flush("code")
            self.preformatted = max(0, self.preformatted - 1)
        elif tag in ("li", "dt", "dd"):
            self.flush("list")
            self.items = max(0, self.items - 1)
        elif tag in _HEADINGS:
            self.flush("heading", _HEADINGS[tag])
        elif tag in _BLOCKS:
            self.flush("list" if self.items else "paragraph")

    def _end_in_table(self, tag: str, element: Any, table: HtmlTable) -> None:
        if tag in ("td", "th"):
            table.cell(element, "".join(self.buffer).replace("¶", " "))
            self.buffer.clear()
        elif tag == "tr":
            table.end_row(self._lines(element))
            self.buffer.clear()
        elif tag == "caption":
            self.flush("paragraph")

    def _lines(self, element: Any = None) -> tuple[int, int] | None:
        line, self.line = self.line, None
        if line is None and element is not None:
            line = element.sourceline
        return (line, line) if line else None

    def flush(self, kind: BlockKind, level: int = 0) -> None:
        """Ends the block that was being collected."""
        text = "".join(self.buffer)
        self.buffer.clear()
        if not self.preformatted:
            text = " ".join(text.replace("¶", " ").split())
        if text.strip():
            self.builder.add(kind if text.strip() else "paragraph", text, level=level, lines=self._lines())
        else:
            self.line = None
