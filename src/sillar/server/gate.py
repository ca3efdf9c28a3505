"""What every request passes before any route: host, key, limits, size. Denies unless told otherwise."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sillar.server import cross_origin
from sillar.server.auth import LOCAL, Client
from sillar.server.errors import ApiError, error_response
from sillar.server.memory_guard import Admission
from sillar.server.state import ServerState

_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1", "testserver"})


UPLOADS = "/v1/documents"
"""The one path that takes large bodies."""


_JSON_GROWTH = 32
"""Bytes that a byte of JSON may take while it is read: a list of empty lists is the worst."""
_UPLOAD_GROWTH = 3


class Gate:
    """ASGI middleware. The client that it lets in stands in scope["sillar.client"]."""

    def __init__(self, app: ASGIApp, state: ServerState, public: Iterable[str] = ()) -> None:
        """`public`: paths (or, ending in /*, prefixes of paths) that are read without a key."""
        self._app = app
        self._state = state
        self._exact = {"/health", *(path for path in public if not path.endswith("/*"))}
        self._prefixes = tuple(path[:-1] for path in public if path.endswith("/*"))
        self._hosts = _LOCAL_NAMES | set(state.options.allowed_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        keys = self._state.keys
        if keys is not None and (answer := cross_origin.preflight(scope, headers, keys)) is not None:
            await answer(scope, receive, send)
            return
        try:
            client = self._client(scope, headers)
            send = cross_origin.readable(send, client, headers)
            if client is not None:
                cross_origin.check(client, scope, headers)
            limit = self._limit(scope)
            length = self._check_size(headers, limit)
            growth = _UPLOAD_GROWTH if scope["path"] == UPLOADS else _JSON_GROWTH
            with self._admission(scope, client), self._state.memory.admit(growth) as memory:
                memory.grow(length)
                scope["sillar.client"] = client
                await self._app(scope, self._bounded(receive, limit, memory), send)
        except ApiError as error:
            await error_response(error)(scope, receive, send)

    def _client(self, scope: Scope, headers: Headers) -> Client | None:
        """Who it is; None on public paths. Raises ApiError 401 or 403."""
        if self._state.keys is None:
            self._check_origin(headers)
            return LOCAL
        path = scope["path"]
        reads = scope["method"] in {"GET", "HEAD"}
        key = headers.get("authorization", "")
        key = key[7:].strip() if key[:7].lower() == "bearer " else headers.get("x-api-key", "")
        client = self._state.keys.find(key) if key else None
        if not key and self._state.sessions is not None:
            client = self._state.sessions.client(scope["method"], headers)
        if client is None and not (
            reads and (path in self._exact or path.startswith(self._prefixes or "\0"))
        ):
            raise ApiError(
                401,
                "The API key is wrong." if key else "An API key is needed: Authorization: Bearer sk-...",
                code="invalid_api_key",
                headers={"WWW-Authenticate": "Bearer"},
            )
        return client

    def _check_origin(self, headers: Headers) -> None:
        """Without keys, a page of another site must not reach us through this machine's browser."""
        host = headers.get("host", "")
        name = urlsplit(f"//{host}").hostname if _is_sane(host) else None
        if name not in self._hosts:
            raise ApiError(403, "This host name is not served here.", code="host_not_allowed")
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2] != host:
            raise ApiError(403, "Requests from pages of other sites are refused.", code="origin_not_allowed")

    def _check_size(self, headers: Headers, limit: int) -> int:
        """The length that the body is said to have; 0 where nothing is said."""
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length[:20]) > limit:
            raise _too_large(limit)
        return int(length[:20])

    def _admission(self, scope: Scope, client: Client | None) -> AbstractContextManager[None]:
        if scope["method"] in {"GET", "HEAD", "OPTIONS"} or client is None:
            return nullcontext()
        if self._state.draining:
            raise ApiError(503, "The server is shutting down.", headers={"Retry-After": "5"})
        return self._state.client_limits.admit(client, (scope.get("client") or ("",))[0])

    def _bounded(self, receive: Receive, limit: int, memory: Admission) -> Receive:
        """Counts the body, whatever its header said."""
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > limit:
                raise _too_large(limit)
            memory.grow(taken)
            return message

        return counted

    def _limit(self, scope: Scope) -> int:
        limits = self._state.options.limits
        return limits.upload_bytes if scope["path"] == UPLOADS else limits.body_bytes


def _too_large(limit: int) -> ApiError:
    return ApiError(413, f"The body is larger than {limit} bytes.", code="body_too_large")


def _is_sane(host: str) -> bool:
    try:
        _ = urlsplit(f"//{host}").port
    except ValueError:
        return False
    return bool(host) and not set(host) & set("@/?#\\ ")
