"""Keys that lie open in web pages: from which sites they work, and for which routes.

Such a key (it has `origins`) opens nothing but asking, voting and handing on, whatever else a route would
let its scopes do; and no other key is ever usable from a page of another site.
"""

from __future__ import annotations

import re

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Message, Scope, Send

from sillar.server.auth import Client, KeyStore
from sillar.server.errors import ApiError

_PATHS = re.compile(r"/v1/ask|/v1/answers/[A-Za-z0-9_-]{1,64}/(?:feedback|handoff)")


def preflight(scope: Scope, headers: Headers, keys: KeyStore) -> Response | None:
    """The answer to a browser that asks whether a page may send its request; None where it may not."""
    origin = headers.get("origin", "")
    asks = scope["method"] == "OPTIONS" and "access-control-request-method" in headers
    if not asks or not _PATHS.fullmatch(scope["path"]) or origin not in keys.origins:
        return None
    allowed = {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Methods": "POST",
        "Access-Control-Allow-Headers": "authorization, content-type",
        "Access-Control-Max-Age": "600",
        "Vary": "Origin",
    }
    return Response(status_code=204, headers=allowed)


def check(client: Client, scope: Scope, headers: Headers) -> None:
    """Raises ApiError 403 where a key of web pages is used from elsewhere or for anything else."""
    if not client.origins:
        return
    if headers.get("origin") not in client.origins:
        raise ApiError(403, "This key does not work from this site.", code="origin_not_allowed")
    if scope["method"] != "POST" or not _PATHS.fullmatch(scope["path"]):
        raise ApiError(403, "This key is for asking only.", code="missing_scope")


def readable(send: Send, client: Client | None, headers: Headers) -> Send:
    """`send`, so that a page of one of the key's origins may read the response; else `send` itself."""
    origin = headers.get("origin", "")
    if client is None or origin not in client.origins:
        return send
    allowed = [(b"access-control-allow-origin", origin.encode("latin-1")), (b"vary", b"Origin"),
               (b"access-control-expose-headers", b"Retry-After")]  # fmt: skip

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", []), *allowed]}
        await send(message)

    return sending
