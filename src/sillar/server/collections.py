"""Where the uploads of a tenant lie: a folder of its own, and one for each collection that it has named.

What the index calls them begins with the tenant, so that equal names of two tenants never meet.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sillar.errors import RequestError

SHARED = ""
"""The collection of the folder that everyone may read."""
UPLOADS = "uploads"
"""What a tenant calls its uploads outside of any named collection."""
MAX_COLLECTIONS = 100
"""Named ones of a tenant."""
_HELD = ".pages"
_NAME = re.compile(r"[^\W_][\w .&()+-]{0,59}")


@dataclass(frozen=True, slots=True)
class Shelf:
    """A collection that its tenant may write to."""

    name: str
    """As the tenant calls it."""
    collection: str
    """As the index calls it."""
    folder: Path


class Shelves:
    """All tenants' shelves, in one folder. Its subfolders are the record of which there are."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def own(self, tenant: str) -> Shelf:
        """The uploads outside of named collections; the folder may be missing still."""
        return Shelf(UPLOADS, f"tenant:{tenant}", self._folder / _digest(tenant)[:16])

    def all(self, tenant: str) -> list[Shelf]:
        """The tenant's own shelf, then its named ones by name. Reads a folder."""
        try:
            names = sorted(entry.name for entry in self._named(tenant).iterdir() if _is_name(entry.name))
        except OSError:
            names = []
        return [self.own(tenant), *(self._shelf(tenant, name) for name in names)]

    def choose(self, tenant: str, name: str) -> Shelf:
        """The shelf of that name, whether there already or not. Raises RequestError for a name that none
        can have, and for one too many.
        """
        tidy = unicodedata.normalize("NFC", name).strip()
        if tidy.casefold() in {"", UPLOADS}:
            return self.own(tenant)
        if not _is_name(tidy):
            raise RequestError(
                "A collection's name has up to 60 letters, digits, spaces and . - & ( ) + and begins with a"
                " letter or digit."
            )
        shelf = self._shelf(tenant, tidy)
        there = self.all(tenant)
        if shelf not in there and len(there) > MAX_COLLECTIONS:
            raise RequestError(f"There are {MAX_COLLECTIONS} collections already.")
        return shelf

    def _shelf(self, tenant: str, name: str) -> Shelf:
        return Shelf(name, f"named:{_digest(tenant)}:{name}", self._named(tenant) / name)

    def _named(self, tenant: str) -> Path:
        return self._folder / f"{_digest(tenant)[:16]}.collections"


def hold(shelf: Shelf) -> None:
    """Keeps a shelf that has pages of the web, though its folder may hold no file."""
    shelf.folder.mkdir(parents=True, exist_ok=True)
    (shelf.folder / _HELD).touch()


def release(shelf: Shelf) -> None:
    """Ends `hold`."""
    (shelf.folder / _HELD).unlink(missing_ok=True)


def label(collection: str, shelves: Iterable[Shelf]) -> str:
    """What a tenant with these shelves reads instead of the index's name; "" for the shared folder."""
    for shelf in shelves:
        if shelf.collection == collection:
            return shelf.name
    return re.sub(r"^named:[0-9a-f]{64}:|^tenant:", "", collection)


def _is_name(name: str) -> bool:
    return bool(_NAME.fullmatch(name)) and name == name.strip() and len(name.encode()) <= 200


def _digest(tenant: str) -> str:
    return hashlib.sha256(tenant.encode()).hexdigest()
