"""The browser's page: the files under web/, read once, served with a policy that lets nothing else run."""

from __future__ import annotations

from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable

from fastapi import APIRouter, Request, Response

PUBLIC = ("/", "/icon.svg", "/widget.js", "/css/*", "/js/*")
"""Paths that need no key: they hold no data."""

WIDGET = "/widget.js"
SESSION = "/auth/session"

_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


def router() -> APIRouter:
    """One route a file; what is not there is not found."""
    routes = APIRouter(include_in_schema=False)
    for path, content in _collect(files("sillar.server") / "web", "/"):
        _serve(routes, "/" if path == "/index.html" else path, content)
    return routes


def without_login() -> APIRouter:
    """What the page hears about logins where there are none; with one, oidc.router answers."""
    routes = APIRouter(include_in_schema=False)

    @routes.get(SESSION)
    async def session() -> None:
        return None

    return routes


def _collect(folder: Traversable, prefix: str) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _collect(entry, f"{prefix}{entry.name}/")
        elif entry.name.rpartition(".")[2] in _TYPES:
            found.append((prefix + entry.name, entry.read_bytes()))
    return found


def _serve(routes: APIRouter, path: str, content: bytes) -> None:
    kind = _TYPES["html" if path == "/" else path.rpartition(".")[2]]
    headers = {**_HEADERS, "ETag": f'"{sha256(content).hexdigest()[:24]}"'}
    if path == WIDGET:  # the one file that pages of other sites load
        headers["Cross-Origin-Resource-Policy"] = "cross-origin"

    @routes.get(path)
    async def file(request: Request) -> Response:
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        return Response(content, media_type=kind, headers=headers)
