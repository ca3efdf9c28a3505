"""Mail into blocks: headers, the body that says more (text or HTML), attachments by their own type.
EML and MBOX.
"""

from __future__ import annotations

import contextlib
import email
import email.policy
import re
from collections.abc import Iterator
from email.message import EmailMessage
from typing import Any

from sillar.documents.document import Document, DocumentBuilder
from sillar.documents.ingest.container import Nesting
from sillar.documents.ingest.html import parse_html
from sillar.documents.ingest.text import parse_text
from sillar.errors import DocumentError

_SHOWN = ("From", "To", "Cc", "Date")
_SEPARATOR = re.compile(rb"(?:\A|(?<=\n\n)|(?<=\r\n\r\n))From [^\n]*\d\d:\d\d[^\n]*\n")
_QUOTED_FROM = re.compile(rb"^>(>*From )", re.M)
MAX_MESSAGES = 20_000
_MAX_PARTS = 500
_MAX_HEADER = 2_000


def parse_eml(data: bytes, nesting: Nesting) -> Document:
    """One message; its subject is the title. DocumentError when it is no mail."""
    builder = DocumentBuilder("message/rfc822")
    message = _message(data)
    if not message.keys():
        raise DocumentError("It has no mail headers.", "damaged")
    _add_message(builder, message, nesting, 1)
    return builder.build()


def parse_mbox(data: bytes, nesting: Nesting) -> Document:
    """All messages of a mailbox, a heading each. DocumentError when it is no mailbox."""
    builder = DocumentBuilder("application/mbox")
    for number, raw in enumerate(_split(data)):
        if number >= MAX_MESSAGES:
            raise DocumentError(f"It holds more than {MAX_MESSAGES:,} messages.", "too_large")
        _add_message(builder, _message(raw), nesting, 1)
    builder.title = ""
    return builder.build()


def _split(data: bytes) -> Iterator[bytes]:
    starts = list(_SEPARATOR.finditer(data))
    if not starts or starts[0].start() != 0:
        raise DocumentError("It is no mailbox: it does not begin with a From line.", "damaged")
    ends = [match.start() for match in starts[1:]] + [len(data)]
    for match, end in zip(starts, ends, strict=True):
        yield _QUOTED_FROM.sub(rb"\1", data[match.end() : end])


def _message(data: bytes) -> EmailMessage:
    message = email.message_from_bytes(data, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def _header(message: EmailMessage, name: str) -> str:
    """A header's text; the standard library raises all sorts of errors over malformed ones."""
    try:
        value = str(message.get(name, ""))
    except Exception:
        value = ""
    return " ".join(value.split())[:_MAX_HEADER].encode("utf-8", "replace").decode()


def _add_message(builder: DocumentBuilder, message: EmailMessage, nesting: Nesting, level: int) -> None:
    builder.add("heading", _header(message, "Subject") or "No subject", level=level)
    shown = [f"{name}: {value}" for name in _SHOWN if (value := _header(message, name))]
    builder.add("paragraph", "\n".join(shown))
    body, attachments = _parts(message)
    if body is not None:
        try:
            builder.extend(body, deeper=level, place=False)
        except DocumentError as error:
            builder.notes.append(f"A body: {error}")
    for part in attachments:
        _attach(builder, part, nesting, level)


def _parts(message: EmailMessage) -> tuple[Document | None, list[Any]]:
    """The body as a document, and the parts that are attached."""
    texts: list[Document] = []
    pages: list[Document] = []
    attachments: list[Any] = []
    for count, part in enumerate(_leaves(message)):
        if count >= _MAX_PARTS:
            break
        kind = part.get_content_type()
        named = part.get_filename() is not None or part.get_content_disposition() == "attachment"
        if kind in ("text/plain", "text/html") and not named:
            (texts if kind == "text/plain" else pages).extend(_body(part, kind))
        elif (named and part.get_content_maintype() != "image") or kind == "message/rfc822":
            attachments.append(part)
    # A page beside a text says the same with its tables and headings, unless it is only a frame for it.
    text_size, page_size = (sum(len(d.text) for d in found) for found in (texts, pages))
    chosen = pages if page_size > 0.8 * text_size else texts
    whole = DocumentBuilder()
    for document in chosen:
        whole.extend(document, place=False)
    return (whole.build() if chosen else None), attachments


def _leaves(part: Any, depth: int = 0) -> Iterator[Any]:
    """Parts that are no multipart; a forwarded message stays whole."""
    if part.get_content_maintype() == "multipart" and part.is_multipart() and depth < 20:
        for child in part.get_payload():
            yield from _leaves(child, depth + 1)
    else:
        yield part


def _body(part: Any, kind: str) -> list[Document]:
    data = part.get_payload(decode=True) or b""
    charset = part.get_content_charset() or ""
    with contextlib.suppress(LookupError, UnicodeError):
        data = data.decode(charset).encode("utf-8") if charset else data
    try:
        return [(parse_html if kind == "text/html" else parse_text)(data)]
    except DocumentError:
        return []


def _attach(builder: DocumentBuilder, part: Any, nesting: Nesting, level: int) -> None:
    try:
        if part.get_content_type() == "message/rfc822":
            inner = part.get_payload()
            inner = inner[0] if isinstance(inner, list) and inner else None
            data = inner.as_bytes() if inner is not None else part.get_payload(decode=True) or b""
            name = "message.eml"
        else:
            data = part.get_payload(decode=True) or b""
            name = part.get_filename() or "unnamed"
    except Exception:  # malformed headers and encodings raise all sorts of errors
        builder.notes.append("An attachment: It is damaged.")
        return
    nesting.add(builder, str(name), data, level=level + 1)
