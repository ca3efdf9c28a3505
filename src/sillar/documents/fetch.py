"""Fetches one page of the web within rules: its host's addresses are looked at before they are asked, at
every redirect again.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

import httpx

from sillar.documents.fetch_routes import routes
from sillar.documents.fetch_rules import FetchRules, check
from sillar.documents.ingest.detect import MEDIA_TYPES, is_supported
from sillar.errors import ConfigError, DocumentError

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_GONE = frozenset({404, 410})
_SUFFIXES = {kind: suffix for suffix, kind in reversed(MEDIA_TYPES.items())} | {
    "application/xhtml+xml": ".html"
}
_VAGUE = frozenset({"", "text/plain", "application/octet-stream", "binary/octet-stream"})
"""Content types that leave the kind to the address and the content."""
_CONNECT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Validators:
    """What a server said of a version: sent back, it answers whether there is a newer one."""

    etag: str = ""
    modified: str = ""

    def headers(self) -> dict[str, str]:
        """For a conditional request."""
        pairs = {"If-None-Match": self.etag, "If-Modified-Since": self.modified}
        return {name: value for name, value in pairs.items() if value}


@dataclass(frozen=True, slots=True)
class Fetched:
    """A page that was written to a file: a name that says its kind, bytes, SHA-256, validators."""

    name: str
    size: int
    hash: str
    validators: Validators


async def fetch(url: str, rules: FetchRules, known: Validators, target: Path) -> Fetched | None:
    """Writes the page to `target`; None where the server has no newer one than `known`.

    Raises DocumentError with the reason, of kind `gone` where the server says that there is no such page.
    """
    try:
        async with asyncio.timeout(rules.seconds):
            return await _follow(url, rules, known, target)
    except TimeoutError:
        raise DocumentError(f"It took more than {rules.seconds:g} s to fetch.", "limits") from None
    except ConfigError as error:
        raise DocumentError(f"{error}.", "refused") from None
    except httpx.ProxyError as error:
        raise DocumentError(f"The proxy did not fetch it: {error}.") from None
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        raise DocumentError(f"It could not be fetched: {str(error) or type(error).__name__}.") from None


async def _follow(address: str, rules: FetchRules, known: Validators, target: Path) -> Fetched | None:
    url = check(address, rules)
    for _ in range(rules.redirects + 1):
        async with _answer(url, rules, known) as answer:
            if answer.status_code not in _REDIRECTS:
                return await _take(answer, url, rules, known, target)
            following = url.join(answer.headers.get("Location", ""))
        if url.scheme == "https" and following.scheme != "https":
            raise DocumentError("It redirects from https to an address that is not.", "refused")
        url = check(str(following), rules)
    raise DocumentError(f"It redirects more than {rules.redirects} times.", "limits")


@asynccontextmanager
async def _answer(url: httpx.URL, rules: FetchRules, known: Validators) -> AsyncIterator[httpx.Response]:
    """The head of the answer, its body still to be read, from the first address that can be reached.

    It is asked at the address that was looked at, so that the name cannot mean another one a moment later, or
    of a proxy where fetch_routes says so.
    A client for each step: no cookie, and no connection that was opened for another name, is used again.
    """
    ways = await routes(url, rules)
    timeout = httpx.Timeout(rules.seconds, connect=min(_CONNECT_SECONDS, rules.seconds))
    for number, way in enumerate(ways, 1):
        async with httpx.AsyncClient(
            trust_env=False, follow_redirects=False, timeout=timeout, proxy=way.proxy
        ) as client:
            name = {} if way.proxy else {"sni_hostname": url.raw_host.decode("ascii")}
            request = client.build_request("GET", way.url, headers=_headers(url, known), extensions=name)
            try:
                answer = await client.send(request, stream=True)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                if number == len(ways):
                    raise
                continue
            try:
                yield answer
            finally:
                await answer.aclose()
            return


def _headers(url: httpx.URL, known: Validators) -> dict[str, str]:
    return {
        "Host": url.netloc.decode("ascii"),
        "Accept-Encoding": "identity",
        "User-Agent": "sillar",
        **known.headers(),
    }


async def _take(
    answer: httpx.Response, url: httpx.URL, rules: FetchRules, known: Validators, target: Path
) -> Fetched | None:
    status = answer.status_code
    if status == 304 and known.headers():
        return None
    if status != 200:
        raise DocumentError(f"The server answered {status}.", "gone" if status in _GONE else "unreadable")
    if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise DocumentError("The server compresses without being asked to.", "refused")
    content_type = answer.headers.get("Content-Type", "")
    name = name_of(url, content_type)
    size, head = await _write(answer, rules.max_bytes, target)
    if name.endswith(".unknown"):
        name = "page.zip" if head.startswith(b"PK") else "page.txt"  # the parser looks closer
    digest = await asyncio.to_thread(_finish, target, _charset(content_type))
    validators = Validators(_header(answer, "ETag"), _header(answer, "Last-Modified"))
    return Fetched(name, size, digest, validators)


async def _write(answer: httpx.Response, limit: int, target: Path) -> tuple[int, bytes]:
    """How many bytes there were, and the first few."""
    size, head = 0, b""
    file = await asyncio.to_thread(target.open, "wb")
    try:
        async for piece in answer.aiter_raw():
            size += len(piece)
            if size > limit:
                raise DocumentError(f"It is larger than {limit >> 20} MiB.", "too_large")
            head = head or piece[:8]
            await asyncio.to_thread(file.write, piece)
    finally:
        await asyncio.to_thread(file.close)
    return size, head


def _finish(target: Path, charset: str) -> str:
    """SHA-256 of the content; text in a charset that only the server named becomes UTF-8 first."""
    if charset:
        try:
            text = target.read_bytes().decode(charset, "replace")
            target.write_bytes(text.encode("utf-8"))
        except (LookupError, UnicodeError):
            pass  # no charset of text: the parser finds one
    with target.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _charset(content_type: str) -> str:
    """The charset of a text, if the server says that it is neither UTF-8 nor UTF-16; else ""."""
    kind, _, parameters = content_type.partition(";")
    if not kind.strip().lower().startswith("text/"):
        return ""
    for parameter in parameters.split(";"):
        key, _, value = parameter.partition("=")
        if key.strip().lower() == "charset":
            charset = value.strip().strip("\"'").lower()
            return "" if charset.startswith(("utf", "us-ascii", "ascii")) else charset
    return ""


def _header(answer: httpx.Response, name: str) -> str:
    """A validator as it is sent back; one that is too long to be a validator is not kept."""
    value = str(answer.headers.get(name, ""))
    return value if len(value) <= 300 and value.isascii() and value.isprintable() else ""


def name_of(url: httpx.URL, content_type: str) -> str:
    """A file name whose suffix says the kind: the server's word, or the address's where that is more exact.

    Raises DocumentError for kinds that are not read.
    """
    kind = content_type.partition(";")[0].strip().lower()
    name = PurePosixPath(unquote(url.path)).name
    suffix = PurePosixPath(name).suffix.lower()
    if is_supported(name) and (kind in _VAGUE or kind == MEDIA_TYPES[suffix]):
        return f"page{suffix}"
    if kind in _SUFFIXES and kind != "text/plain":
        return f"page{_SUFFIXES[kind]}"
    if kind in _VAGUE:
        return "page.unknown"
    raise DocumentError(f"It is {kind[:100]!r}, which is not read.", "unsupported")
