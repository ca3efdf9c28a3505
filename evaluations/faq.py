"""Question sets made of FAQs and manuals in Debian packages: a heading asks, the text below it answers.

`python -m evaluations.faq --out DIR` writes technical-faq-en.json and headings-es.json. The passages hold no
headings, so a question is not found by its own words above the answer.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator
from pathlib import Path

from evaluations.corpora import fetch_package
from evaluations.sets import Query, QuestionSet
from sillar.documents.document import Document
from sillar.documents.ingest.parse import parse

ENGLISH = (
    ("python3.11-doc", "usr/share/doc/python3.11/html/faq/*.html"),
    ("debian-faq", "usr/share/doc/debian/FAQ/*.en.html"),
    ("perl-doc", "usr/share/perl/*/pod/perlfaq[1-9].pod"),
)
SPANISH = (
    ("maint-guide-es", "usr/share/doc/maint-guide-es/html/*.es.html"),
    ("debian-edu-doc-es", "usr/share/doc/debian-edu-doc-es/debian-edu-bookworm-manual.html"),
)
_LEAST_WORDS = 20
_NUMBERING = re.compile(
    r"^(?:(?:[Cc]hapter|[Cc]ap[ií]tulo|[Aa]péndice|[Aa]ppendix) \w+\.?\s+"
    r"|(?:\d+|[A-Z])(?:\.\d+)*\.\s+|\d+(?:\.\d+)+\s+)"
)
_POD_CODE = re.compile(r"[A-Z](?:<<+\s+([^<>]*?)\s+>>+|<([^<>]*)>)")
_POD_ESCAPES = {"E<lt>": "<", "E<gt>": ">", "E<sol>": "/", "E<verbar>": "|"}


def build(
    name: str, language: str, parts: tuple[tuple[str, str], ...], *, questions_only: bool
) -> QuestionSet:
    """Fetches the packages and pairs headings with what stands below them. CorpusError: none to be had."""
    pairs: dict[str, str] = {}
    doubled: set[str] = set()
    for name_of, pattern in parts:
        for path in sorted(fetch_package(name_of).glob(pattern)):
            for heading, text in _sections(path):
                asks = heading.endswith("?") or not questions_only
                if not asks or len(heading.split()) < 3 or len(text.split()) < _LEAST_WORDS:
                    continue
                if heading in pairs:
                    doubled.add(heading)
                pairs[heading] = text
    kept = [(heading, text) for heading, text in pairs.items() if heading not in doubled]
    passages = {str(i): text for i, (_, text) in enumerate(kept)}
    queries = tuple(Query(heading, (str(i),)) for i, (heading, _) in enumerate(kept))
    return QuestionSet(name, language, passages, queries)


def english() -> QuestionSet:
    """The FAQs of Python, Debian and Perl: headings that are questions."""
    return build("technical-faq-en", "en", ENGLISH, questions_only=True)


def spanish() -> QuestionSet:
    """Manuals for maintainers and schools: every heading of three words or more."""
    return build("headings-es", "es", SPANISH, questions_only=False)


def _sections(path: Path) -> Iterator[tuple[str, str]]:
    data = path.read_bytes()
    if path.suffix == ".pod":
        return _pod_sections(data.decode("utf-8", "replace"))
    return _document_sections(parse(data, "text/html"))


def _document_sections(document: Document) -> Iterator[tuple[str, str]]:
    heading, parts = "", list[str]()
    for block in document.blocks:
        text = document.text[block.start : block.end]
        if block.kind == "heading":
            yield heading, "\n\n".join(parts)
            heading, parts = _NUMBERING.sub("", " ".join(text.split())), []
        else:
            parts.append(text)
    yield heading, "\n\n".join(parts)


def _pod_sections(pod: str) -> Iterator[tuple[str, str]]:
    """Perl's documentation format, as far as its FAQ uses it."""
    heading, parts = "", list[str]()
    for paragraph in re.split(r"\n\s*\n", pod):
        command = re.match(r"=(\w+)\s*(.*)", paragraph, re.S)
        if command is None:
            parts.append(_plain(paragraph.strip("\n")))
        elif command[1].startswith("head"):
            yield heading, "\n\n".join(parts)
            heading, parts = " ".join(_plain(command[2]).split()), []
    yield heading, "\n\n".join(parts)


def _plain(pod: str) -> str:
    """Without formatting codes, innermost first; escaped signs (E<lt>) come back after them."""
    for code, sign in _POD_ESCAPES.items():
        pod = pod.replace(code, f"\0{ord(sign)}\0")
    for _ in range(3):
        pod = _POD_CODE.sub(lambda found: found[1] or found[2] or "", pod)
    return re.sub(r"\0(\d+)\0", lambda found: chr(int(found[1])), pod)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for questions in (english(), spanish()):
        content = {
            "name": questions.name,
            "lang": questions.language,
            "passages": [{"id": key, "text": text} for key, text in questions.passages.items()],
            "queries": [{"q": query.text, "gold": list(query.gold)} for query in questions.queries],
        }
        path = arguments.out / f"{questions.name}.json"
        path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
        print(f"{path}: {len(questions.queries)} questions")


if __name__ == "__main__":
    main()
