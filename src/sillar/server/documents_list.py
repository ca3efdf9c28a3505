"""Documents and their collections: listed, uploaded, removed, and how far those on their way are."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from sillar.documents.fetch_rules import MAX_URL
from sillar.documents.store.jobs import FileJob
from sillar.documents.store.protocol import DocumentInfo
from sillar.server.auth import LOCAL, Client, require_key
from sillar.server.collections import Shelf, label
from sillar.server.errors import ApiError
from sillar.server.library import Job, Library, holding

Reader = Annotated[Client, Depends(require_key("documents"))]
Id = Annotated[int, Field(ge=0, lt=2**63)]
Admin = Annotated[Client, Depends(require_key("admin"))]
_Name = Annotated[str, Query(min_length=1, max_length=500)]
_CollectionName = Annotated[str, Query(max_length=200)]
_CollectionPath = Annotated[str, Path(max_length=200)]
_MAX_FILES = 100


class PagesRequest(BaseModel):
    """Pages of the web to fetch."""

    model_config = ConfigDict(extra="forbid")
    urls: Annotated[list[Annotated[str, Field(max_length=MAX_URL)]], Field(min_length=1, max_length=100)]
    collection: Annotated[str, Field(max_length=200)] = ""


class ReadersRequest(BaseModel):
    """Who may read a collection."""

    model_config = ConfigDict(extra="forbid")
    readers: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")]],
        Field(max_length=100),
    ]


def manage(routes: APIRouter, library: Library) -> None:
    """Adds the routes over one library."""
    _listing(routes, library)
    _changing(routes, library)
    _sharing(routes, library)


def _listing(routes: APIRouter, library: Library) -> None:
    @routes.get("/documents")
    async def documents(client: Reader) -> dict[str, Any]:
        """Every document that this key may ask about, those that could not be read too."""
        shelves = await library.shelves(client)
        return {"data": [_row(info, shelves) for info in await library.documents(client)]}

    @routes.get("/collections")
    async def collections(client: Reader) -> dict[str, Any]:
        """The collections that this key may ask about; "" is the shared folder, "uploads" what has none.

        With the hosts that pages may be fetched from and, for the scope admin, who may read each of its own.
        """
        shelves = await library.shelves(client)
        counts = Counter(info.collection for info in await library.documents(client))
        own = {shelf.collection for shelf in shelves}
        access = await library.access(client)
        others = sorted((access.collections or frozenset()) - own)
        rows = [
            {"name": label(name, shelves), "documents": counts[name], "writable": name in own}
            for name in [*others, *(shelf.collection for shelf in shelves)]
        ]
        hosts = sorted(library.rules.hosts)
        return {"data": rows, "hosts": hosts, "readers": await _readers(library, client, shelves)}

    @routes.get("/jobs")
    async def jobs(client: Reader) -> dict[str, Any]:
        """What is on its way into the index, each with its stage; `more`: files that are not shown."""
        own, others = await library.running(client)
        shelves = await library.shelves(client)
        rows = [_job(job) for job in own] + [_file(file, shelves) for file in others[:_MAX_FILES]]
        return {"data": rows, "more": max(0, len(others) - _MAX_FILES)}


def _changing(routes: APIRouter, library: Library) -> None:
    @routes.post("/documents", status_code=202)
    async def upload(
        request: Request, client: Reader, name: _Name, collection: _CollectionName = ""
    ) -> dict[str, Any]:
        """Takes a file as the body and indexes it in the background; only this tenant will see it."""
        job = await library.upload(client, name, collection, request.stream())
        return {"job": job.id, "document": job.document, "collection": job.shelf.name}

    @routes.post("/pages", status_code=202)
    async def fetch(body: PagesRequest, client: Reader) -> dict[str, Any]:
        """Fetches pages of the web, or fetches them again, from the hosts that `web.hosts` allows."""
        if not library.rules.hosts:
            message = "This server fetches no pages: its operator allows no hosts (web.hosts)."
            raise ApiError(403, message, code="no_hosts")
        jobs = await library.fetch(client, body.urls, body.collection)
        return {"jobs": [_job(job) for job in jobs]}

    @routes.delete("/documents/{document}", status_code=204)
    async def remove(client: Reader, document: Id) -> None:
        """Removes an upload or a page with all its passages."""
        await library.remove(client, document)


def _sharing(routes: APIRouter, library: Library) -> None:
    @routes.get("/collections/{name}/readers")
    async def readers(client: Admin, name: _CollectionPath) -> dict[str, Any]:
        """Which keys and tenants may read one of the tenant's collections, beside the tenant itself."""
        return {"collection": name, "readers": await library.readers(client, name)}

    @routes.put("/collections/{name}/readers")
    async def set_readers(client: Admin, name: _CollectionPath, body: ReadersRequest) -> dict[str, Any]:
        """Says who may read it from now on: names of keys or tenants, or "*" for everyone."""
        await library.set_readers(client, name, body.readers)
        return {"collection": name, "readers": await library.readers(client, name)}


async def _readers(library: Library, client: Client, shelves: list[Shelf]) -> dict[str, list[str]] | None:
    """Readers of the client's own collections by name; None without the scope admin or without keys."""
    if "admin" not in client.scopes or client == LOCAL:
        return None
    readers = await library.index.readers()
    return {shelf.name: readers.get(shelf.collection, []) for shelf in shelves}


def _row(info: DocumentInfo, shelves: list[Shelf]) -> dict[str, Any]:
    return {
        "id": info.document_id,
        "path": info.path,
        "title": info.title,
        "state": "ready" if info.failed is None else "failed",
        "reason": info.failed,
        "kind": info.kind,
        "notes": list(info.notes),
        "collection": label(info.collection, shelves),
        "passages": info.passages,
        "removable": holding(info, shelves) is not None,
    }


def _file(file: FileJob, shelves: list[Shelf]) -> dict[str, Any]:
    """A file that nobody uploaded here: of the shared folder, or what another run left."""
    return {
        "id": None,
        "document": file.path,
        "collection": label(file.collection, shelves),
        "stage": file.stage,
        "done": 0,
        "total": 0,
    }


def _job(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "document": job.document,
        "collection": job.shelf.name,
        "stage": job.stage,
        "done": job.done,
        "total": job.total,
    }
