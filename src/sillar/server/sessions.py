"""Logged-in browsers: sessions by cookie, and the token that their requests carry against forgery.

Sessions live in memory: a restart logs everybody out, and logging out ends one for good.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.datastructures import Headers
from starlette.requests import cookie_parser

from sillar.server.auth import Client
from sillar.server.errors import ApiError

_SECONDS = 8 * 3600
_MOST = 10_000
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Session:
    """One browser of one person."""

    client: Client
    person: str
    """A name to show."""
    expires: float
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(24))


class Sessions:
    """All of one server. `site` is the origin that browsers see it under."""

    def __init__(self, site: str, clock: Callable[[], float] = time.time) -> None:
        self.site = site
        self.secure = site.startswith("https:")
        self.cookie = "__Host-sillar" if self.secure else "sillar-session"
        self._clock = clock
        self._sessions: OrderedDict[str, Session] = OrderedDict()

    def begin(self, client: Client, person: str) -> str:
        """A new session; returns the Set-Cookie header's value."""
        identity = secrets.token_urlsafe(32)
        self._sessions[identity] = Session(client, person, self._clock() + _SECONDS)
        while len(self._sessions) > _MOST:
            self._sessions.popitem(last=False)
        return f"{self.cookie}={identity}; Path=/; Max-Age={_SECONDS}; HttpOnly; SameSite=Strict{self._flag}"

    def end(self, headers: Headers) -> str:
        """Ends the session of these headers; returns the Set-Cookie header's value."""
        self._sessions.pop(self._identity(headers), None)
        return f"{self.cookie}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict{self._flag}"

    def find(self, headers: Headers) -> Session | None:
        """The session that the cookie names, unless it is over or another site's page sent it."""
        if headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
            return None
        identity = self._identity(headers)
        session = self._sessions.get(identity)
        if session is not None and session.expires <= self._clock():
            del self._sessions[identity]
            return None
        return session

    def client(self, method: str, headers: Headers) -> Client | None:
        """Whose request it is; None without a session. Raises ApiError 403 for a change without the token."""
        session = self.find(headers)
        if session is None:
            return None
        if method not in _SAFE:
            token = headers.get("x-csrf-token", "")
            origin = headers.get("origin", self.site)
            if origin != self.site or not hmac.compare_digest(token.encode(), session.csrf.encode()):
                raise ApiError(403, "This request did not come from the page itself.", code="csrf")
        return session.client

    @property
    def _flag(self) -> str:
        return "; Secure" if self.secure else ""

    def _identity(self, headers: Headers) -> str:
        return cookie_parser(headers.get("cookie", "")).get(self.cookie, "")
