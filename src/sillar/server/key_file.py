"""The file of API keys while the server runs: entries come and go, all else in it stays as it is; and what
others write into it counts from then on.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import tomlkit
from filelock import FileLock
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AoT

from sillar.errors import ConfigError, RequestError
from sillar.server.auth import Client, KeyStore, new_key, parse_keys

MAX_KEYS = 200
"""Of one tenant."""
_ID = 16
_LOOK_SECONDS = 2.0
_Look = tuple[int, int, int] | None
_Change = Callable[[AoT, dict[str, Client]], None]


@dataclass(frozen=True, slots=True)
class KeyRow:
    """What may be told of a key. `id` is the beginning of its hash; `used`: Unix time, since the start."""

    id: str
    client: Client
    used: int | None


class KeyFile:
    """Keys of a tenant, listed, made and revoked. What other processes wrote into the file is kept.

    ConfigError: the file cannot be read or written, or is no longer as it should be; nothing is changed then.
    """

    def __init__(self, path: Path, store: KeyStore) -> None:
        self._path = path
        self._store = store
        self._changing = threading.Lock()
        self._seen: _Look = None
        self._taken: _Look = (0, 0, 0)
        self.problem = ""
        """Why the file as it lies there is not what the server goes by; "" when it is."""

    async def follow(self, say: Callable[[str], None], seconds: float = _LOOK_SECONDS) -> None:
        """Takes what others write into the file, until it is cancelled; `say` is told."""
        while True:
            await asyncio.sleep(seconds)
            if line := await asyncio.to_thread(self.refresh):
                say(line)

    def refresh(self) -> str:
        """Takes the file's keys once two looks in a row saw the same, so that none is taken half written.

        Answers what to tell the operator, "" for nothing. One that cannot be read, or has an error, changes
        nothing: the keys of before stay.
        """
        with self._changing:
            seen, before = _look(self._path), self._seen
            self._seen = seen
            if seen != before or seen == self._taken:
                return ""
            self._taken, told = seen, self.problem
            try:
                clients = parse_keys(self._path, self._path.read_text("utf-8"))
            except (OSError, UnicodeDecodeError, ConfigError) as error:
                self.problem = "The file of keys has an error or is gone: the keys of before are in force."
                return f"{error}. {self.problem}"
            self.problem = ""
            known = self._store.clients
            if clients == known and not told:
                return ""
            self._store.replace(clients)
            new, gone = len(clients.keys() - known.keys()), len(known.keys() - clients.keys())
            return f"{self._path}: {len(clients)} keys, {new} new, {gone} revoked."

    def rows(self, tenant: str) -> list[KeyRow]:
        """The tenant's keys, by name."""
        found = [
            KeyRow(digest[:_ID], client, self._store.used.get(digest))
            for digest, client in self._store.clients.items()
            if client.tenant == tenant
        ]
        return sorted(found, key=lambda row: (row.client.name, row.id))

    def add(
        self, maker: Client, name: str, scopes: frozenset[str], origins: frozenset[str]
    ) -> tuple[str, KeyRow]:
        """A new key of the maker's tenant, with the maker's limits: the key
        itself and what is known of it. RequestError: the name is taken, or there are too many.

        Collections are shared by the names of keys and tenants, so the name begins with the tenant's: nobody
        can take one that another tenant has shared something with.
        """
        full = f"{maker.tenant}/{name}"
        secret, digest = new_key()
        today = datetime.now(UTC).date()
        entry: dict[str, Any] = {"name": full, "sha256": digest, "tenant": maker.tenant}
        entry |= {"scopes": sorted(scopes), "created": today}
        if origins:
            entry["origins"] = sorted(origins)
        limits = {"requests_per_minute": maker.requests_per_minute, "concurrent": maker.concurrent}
        entry |= {limit: value for limit, value in limits.items() if value}

        def change(entries: AoT, known: dict[str, Client]) -> None:
            own = [client.name for client in known.values() if client.tenant == maker.tenant]
            others = [client for client in known.values() if client.tenant != maker.tenant]
            if full in own or any(full in (other.name, other.tenant) for other in others):
                raise RequestError("There is a key of this name already.")
            if len(own) >= MAX_KEYS:
                raise RequestError(f"There are {MAX_KEYS} keys already.")
            table = tomlkit.table()
            table.update(entry)
            entries.append(table)

        clients = self._rewrite(change)
        return secret, KeyRow(digest[:_ID], clients[digest], None)

    def revoke(self, maker: Client, identity: str) -> None:
        """Takes one of the tenant's keys out; it opens nothing from then on. RequestError: the tenant has
        none such, or it is the key that asks.
        """
        digests = [
            digest
            for digest, client in self._store.clients.items()
            if client.tenant == maker.tenant and secrets.compare_digest(digest[:_ID], identity)
        ]
        if len(identity) != _ID or len(digests) != 1:
            raise RequestError("There is no such key.")
        if self._store.clients[digests[0]] == maker:
            raise RequestError("This is the key that you use; another administrator can revoke it.")

        def change(entries: AoT, known: dict[str, Client]) -> None:
            if len(known) == 1 and digests[0] in known:
                raise RequestError("This is the last key: a server without keys serves nobody else.")
            for place in reversed(range(len(entries))):
                if str(entries[place].get("sha256", "")).lower() == digests[0]:
                    del entries[place]

        self._rewrite(change)
        self._store.used.pop(digests[0], None)

    def _rewrite(self, change: _Change) -> dict[str, Client]:
        """Changes the file in one step, and what the server goes by."""
        path = self._path.resolve()
        try:
            with self._changing, FileLock(path.with_name(f".{path.name}.lock"), timeout=10):
                before = path.read_text("utf-8")
                known = parse_keys(path, before)
                document = tomlkit.parse(before)
                entries = document["key"]
                if not isinstance(entries, AoT):
                    raise ConfigError(f"{path}: its keys are not written as [[key]]; change them by hand")
                change(entries, known)
                text = tomlkit.dumps(document)
                clients = parse_keys(path, text)
                _replace(path, text)
                self._store.replace(clients)
                self.problem = ""
        except (OSError, UnicodeDecodeError, TOMLKitError) as error:
            raise ConfigError(f"The file of keys cannot be changed: {error}") from error
        return clients


def _look(path: Path) -> _Look:
    """What tells one version of the file from another; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _replace(path: Path, text: str) -> None:
    """Writes the file whole or not at all, with the owner and the permissions that it had."""
    had = path.stat()
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            if (os.geteuid(), os.getegid()) != (had.st_uid, had.st_gid):
                os.fchown(file.fileno(), had.st_uid, had.st_gid)
            os.fchmod(file.fileno(), had.st_mode & 0o777)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
