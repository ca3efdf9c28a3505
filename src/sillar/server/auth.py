"""API keys: who a client is, what it may do and how much. Only hashes of keys are kept.

The keys' file is TOML, one [[key]] each: name, sha256 (of the key), tenant, scopes (default all), created,
requests_per_minute and concurrent (default unlimited), and origins: the web sites whose pages carry the key
in the open (the chat widget). Such a key may only ask, and has limits even where none are written.
"""

from __future__ import annotations

import hmac
import secrets
import time
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastapi import Request

from sillar.errors import ConfigError
from sillar.server.errors import ApiError

SCOPES = frozenset({"generate", "embed", "documents", "ask", "metrics", "admin"})
"""`ask` is a part of `documents`: questions, votes and hand-off, but no list of documents and no figures."""
_PREFIX = "sk-sillar-"
_WIDGET_LIMITS = {"requests_per_minute": 60, "concurrent": 4, "visitor_requests_per_minute": 10}
"""Of keys with origins, where their entry says nothing."""


@dataclass(frozen=True, slots=True)
class Client:
    """Whoever a request comes from. Tenants never share cached prefixes, documents or queues."""

    name: str
    tenant: str
    scopes: frozenset[str] = SCOPES
    requests_per_minute: int = 0
    concurrent: int = 0
    visitor_requests_per_minute: int = 0
    """Of one address; 0: no limit."""
    origins: frozenset[str] = frozenset()
    """Sites whose pages may use this key, as browsers write them: https://shop.example."""
    created: str = ""
    """The day, where it is known."""


LOCAL = Client("local", "local")
"""Everyone, where there are no keys: the server then listens to this machine only."""


class KeyStore:
    """Finds the client of a key in constant time."""

    def __init__(self, clients: Mapping[str, Client]) -> None:
        """`clients`: hex SHA-256 of the key -> client."""
        self.used: dict[str, int] = {}
        """When a key was last seen, Unix time by its hash; since the start."""
        self.replace(clients)

    def replace(self, clients: Mapping[str, Client]) -> None:
        """From now on these, and no others."""
        self.clients = dict(clients)
        self.origins = frozenset(origin for client in self.clients.values() for origin in client.origins)

    @classmethod
    def read(cls, path: Path) -> KeyStore:
        """Raises ConfigError for a file that is not there, malformed or without a key."""
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: {error}") from error
        return cls(parse_keys(path, text))

    def find(self, key: str) -> Client | None:
        digest = sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
        found = None
        for known, client in self.clients.items():  # all of them, whichever matches
            if hmac.compare_digest(known, digest):
                found = client
        if found is not None:
            self.used[digest] = int(time.time())
        return found


def parse_keys(path: Path, text: str) -> dict[str, Client]:
    """The keys of a file by their hashes. Raises ConfigError where it is malformed or has none."""
    try:
        entries = tomllib.loads(text).get("key", [])
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: {error}") from error
    clients = dict(_entry(path, entry) for entry in entries) if isinstance(entries, list) else {}
    if not clients:
        raise ConfigError(f"{path}: no [[key]] in it")
    return clients


def new_key() -> tuple[str, str]:
    """A fresh key and the hash that goes into the file. The key itself is shown once."""
    key = _PREFIX + secrets.token_urlsafe(32)
    return key, sha256(key.encode()).hexdigest()


def client_of(request: Request) -> Client:
    """The client that the gate has let in."""
    client = request.scope.get("sillar.client")
    if not isinstance(client, Client):
        raise ApiError(401, "An API key is needed.", code="invalid_api_key")
    return client


def require_key(*scopes: str) -> Callable[[Request], Client]:
    """A FastAPI dependency: the client, if its key has one of these scopes."""
    assert set(scopes) <= SCOPES

    def dependency(request: Request) -> Client:
        return check_scope(client_of(request), *scopes)

    return dependency


def check_scope(client: Client, *scopes: str) -> Client:
    """The same client. Raises ApiError 403 where its key has none of these scopes."""
    if client.scopes.isdisjoint(scopes):
        raise ApiError(403, f"This key does not have the scope '{scopes[0]}'.", code="missing_scope")
    return client


def _entry(path: Path, entry: Any) -> tuple[str, Client]:
    known = {field.name for field in fields(Client)} | {"sha256"}
    if not isinstance(entry, dict) or not {"name", "sha256"} <= entry.keys() <= known:
        raise ConfigError(f"{path}: a [[key]] has name, sha256 and maybe {', '.join(sorted(known))}")
    digest = str(entry["sha256"]).lower()
    if len(digest) != 64 or set(digest) - set("0123456789abcdef"):
        raise ConfigError(f"{path}: sha256 of {entry['name']} is not 64 hexadecimal digits")
    origins = frozenset(map(str, entry.get("origins", ())))
    if wrong := [origin for origin in sorted(origins) if not is_origin(origin)]:
        raise ConfigError(f"{path}: {wrong[0]!r} is no origin, such as https://shop.example")
    scopes = frozenset(map(str, entry.get("scopes", {"ask"} if origins else SCOPES)))
    if not scopes <= SCOPES:
        raise ConfigError(f"{path}: unknown scope; there are {', '.join(sorted(SCOPES))}")
    name = str(entry["name"])
    if origins and scopes != {"ask"}:
        raise ConfigError(
            f"{path}: {name} lies open in web pages (origins): it can only have the scope 'ask'"
        )
    defaults = _WIDGET_LIMITS if origins else dict.fromkeys(_WIDGET_LIMITS, 0)
    limits = [entry.get(key, default) for key, default in defaults.items()]
    if not all(type(limit) is int and limit >= 0 for limit in limits):
        raise ConfigError(f"{path}: the limits of {name} are not whole numbers")
    rate, concurrent, of_visitor = limits
    tenant, created = str(entry.get("tenant", name)), str(entry.get("created", ""))[:40]
    return digest, Client(name, tenant, scopes, rate, concurrent, of_visitor, origins, created)


def is_origin(text: str) -> bool:
    """Whether it is scheme://host or scheme://host:port as browsers write it."""
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return False
    plain = parts.scheme in {"http", "https"} and bool(parts.hostname) and text == text.lower()
    return (
        plain and text == f"{parts.scheme}://{parts.netloc}" and "@" not in parts.netloc and "*" not in text
    )
