"""A stand-in of the model hub on loopback: metadata, redirects to another host, ranges, ways to fail."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from tests.loopback import serving

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class StandIn:
    """Files by "owner/repo/file", and how to misbehave."""

    files: dict[str, bytes] = field(default_factory=dict)
    url: str = ""
    cut_after: list[int] = field(default_factory=list)
    """For each of the next downloads: how many bytes come before the connection breaks."""
    status: list[int] = field(default_factory=list)
    """For each of the next downloads: an error to answer with instead."""
    ranges: bool = True
    announce: bytes | None = None
    """What the metadata describes, where it differs from what is sent."""
    gated: bool = False
    requests: list[tuple[str, str | None, str | None]] = field(default_factory=list)
    """(path, Range, Authorization) of every download."""


@contextmanager
def serve() -> Iterator[StandIn]:
    stand_in = StandIn()
    handler = type("Handler", (_Handler,), {"stand_in": stand_in})
    with serving(handler) as stand_in.url:
        yield stand_in


class _Handler(BaseHTTPRequestHandler):
    stand_in: StandIn
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments: object) -> None:
        del arguments

    def _content(self) -> bytes | None:
        parts = self.path.split("?")[0].strip("/").split("/")
        if parts[0] == "cdn":
            return self.stand_in.files.get("/".join(parts[1:]))
        return self.stand_in.files.get("/".join([*parts[:2], *parts[4:]])) if len(parts) > 4 else None

    def _fail(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_HEAD(self) -> None:
        content = self._content()
        if self.stand_in.gated:
            self._fail(403, "GatedRepo")
        elif content is None:
            known = any(
                name.split("/")[:2] == self.path.strip("/").split("/")[:2] for name in self.stand_in.files
            )
            self._fail(404, "EntryNotFound" if known else "RepoNotFound")
        else:
            self._redirect(content)

    def _redirect(self, content: bytes) -> None:
        announced = self.stand_in.announce or content
        parts = self.path.strip("/").split("/")
        self.send_response(302)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("X-Linked-Etag", f'"{hashlib.sha256(announced).hexdigest()}"')
        self.send_header("X-Linked-Size", str(len(announced)))
        storage = self.stand_in.url.replace("127.0.0.1", "localhost")
        path = "/".join([*parts[:2], *parts[4:]])
        self.send_header("Location", f"{storage}/cdn/{path}?signature=1")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        content = self._content()
        if content is None:
            self._fail(404, "EntryNotFound")
        elif self.path.startswith("/cdn/"):
            self._send(content)
        else:
            self._redirect(content)

    def _send(self, content: bytes) -> None:
        stand_in = self.stand_in
        wanted = self.headers.get("Range")
        stand_in.requests.append((self.path, wanted, self.headers.get("Authorization")))
        if stand_in.status:
            self._fail(stand_in.status.pop(0), "")
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and stand_in.ranges else 0
        body = content[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if stand_in.cut_after:
            self.wfile.write(body[: stand_in.cut_after.pop(0)])
            self.close_connection = True
            return
        self.wfile.write(body)
