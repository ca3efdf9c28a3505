"""Documents and their collections: listed, uploaded, removed, and how far those on their way are."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import Field

from sillar.documents.store.protocol import DocumentInfo
from sillar.server.auth import Client, require_key
from sillar.server.collections import Shelf, label
from sillar.server.library import Job, Library, holding

Reader = Annotated[Client, Depends(require_key("documents"))]
Id = Annotated[int, Field(ge=0, lt=2**63)]
_Name = Annotated[str, Query(min_length=1, max_length=500)]
_CollectionName = Annotated[str, Query(max_length=200)]


def manage(routes: APIRouter, library: Library) -> None:
    """Adds the routes over one library."""
    _listing(routes, library)
    _changing(routes, library)


def _listing(routes: APIRouter, library: Library) -> None:
    @routes.get("/documents")
    async def documents(client: Reader) -> dict[str, Any]:
        """Every document that this key may ask about, those that could not be read too."""
        shelves = await library.shelves(client)
        return {"data": [_row(info, shelves) for info in await library.documents(client)]}

    @routes.get("/collections")
    async def collections(client: Reader) -> dict[str, Any]:
        """The collections that this key may ask about; "" is the shared folder, "uploads" what has none."""
        shelves = await library.shelves(client)
        counts = Counter(info.collection for info in await library.documents(client))
        own = {shelf.collection for shelf in shelves}
        access = await library.access(client)
        others = sorted((access.collections or frozenset()) - own)
        rows = [
            {"name": label(name, shelves), "documents": counts[name], "writable": name in own}
            for name in [*others, *(shelf.collection for shelf in shelves)]
        ]
        return {"data": rows}

    @routes.get("/jobs")
    async def jobs(client: Reader) -> dict[str, Any]:
        """Uploads on their way into the index, each with its stage."""
        return {"data": [_job(job) for job in await library.running(client)]}


def _changing(routes: APIRouter, library: Library) -> None:
    @routes.post("/documents", status_code=202)
    async def upload(
        request: Request, client: Reader, name: _Name, collection: _CollectionName = ""
    ) -> dict[str, Any]:
        """Takes a file as the body and indexes it in the background; only this tenant will see it."""
        job = await library.upload(client, name, collection, request.stream())
        return {"job": job.id, "document": job.document, "collection": job.shelf.name}

    @routes.delete("/documents/{document}", status_code=204)
    async def remove(client: Reader, document: Id) -> None:
        """Removes an upload with all its passages."""
        await library.remove(client, document)


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


def _job(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "document": job.document,
        "collection": job.shelf.name,
        "stage": job.stage,
        "done": job.done,
        "total": job.total,
    }
