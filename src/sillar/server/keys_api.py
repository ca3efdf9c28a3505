"""GET, POST, DELETE /v1/keys: an administrator's key lists, makes and revokes keys of its own tenant."""

from __future__ import annotations

import asyncio
import logging
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Response
from pydantic import BaseModel, ConfigDict, Field

from sillar.errors import ConfigError
from sillar.server.auth import Client, is_origin, require_key
from sillar.server.errors import ApiError
from sillar.server.key_file import KeyFile, KeyRow
from sillar.server.state import ServerState

_log = logging.getLogger(__name__)

Admin = Annotated[Client, Depends(require_key("admin"))]
_Id = Annotated[str, Path(pattern="^[0-9a-f]{16}$")]
_Scope = Literal["generate", "embed", "documents", "ask", "metrics", "admin"]


class NewKey(BaseModel):
    """A key to be made."""

    model_config = ConfigDict(extra="forbid")
    name: Annotated[str, Field(min_length=1, max_length=60, pattern=r"^[^\x00-\x1f\x7f/]+$")]
    scopes: Annotated[list[_Scope], Field(min_length=1, max_length=6)]
    origins: Annotated[list[Annotated[str, Field(max_length=200)]], Field(max_length=20)] = []


def router(state: ServerState) -> APIRouter:
    """The routes over the file that the server was started with."""
    routes = APIRouter(prefix="/v1", tags=["keys"])

    @routes.get("/keys")
    async def keys(client: Admin, response: Response) -> dict[str, Any]:
        """The keys of this key's tenant, never their secrets; needs the scope admin."""
        response.headers["Cache-Control"] = "no-store"
        if state.key_file is None:
            return {"data": [], "managed": False, "scopes": [], "problem": ""}
        rows = [_row(row, client) for row in state.key_file.rows(client.tenant)]
        problem = state.key_file.problem
        return {"data": rows, "managed": True, "scopes": sorted(client.scopes), "problem": problem}

    @routes.post("/keys", status_code=201)
    async def make(body: NewKey, client: Admin, response: Response) -> dict[str, Any]:
        """Makes a key of the same tenant, with scopes that this key has; the answer alone shows it."""
        response.headers["Cache-Control"] = "no-store"
        scopes = frozenset(body.scopes)
        if beyond := scopes - client.scopes:
            message = f"This key does not have the scope '{min(beyond)}' and cannot give it."
            raise ApiError(403, message, code="missing_scope")
        if body.origins and not (scopes == {"ask"} and all(map(is_origin, body.origins))):
            message = (
                "A key for other sites has the scope 'ask' alone, and origins such as https://shop.example."
            )
            raise ApiError(400, message, param="origins")
        file = _file(state)
        secret, row = await _changed(file.add, client, body.name.strip(), scopes, frozenset(body.origins))
        return {**_row(row, client), "key": secret}

    @routes.delete("/keys/{key}", status_code=204)
    async def revoke(key: _Id, client: Admin) -> None:
        """Revokes a key of the same tenant, at once; not the one that asks."""
        await _changed(_file(state).revoke, client, key)

    return routes


def _file(state: ServerState) -> KeyFile:
    if state.key_file is None:
        message = "This server has no file of keys: start it with --keys FILE (see `sillar key`)."
        raise ApiError(409, message, code="no_keys_file")
    return state.key_file


async def _changed(change: Any, *arguments: Any) -> Any:
    """Runs a change of the file beside the event loop; what its file's state forbids is a conflict."""
    try:
        return await asyncio.to_thread(change, *arguments)
    except ConfigError as error:
        _log.error("%s", error)  # it names a path of this machine
        message = "The file of keys cannot be changed just now; the server's log says why."
        raise ApiError(409, message, code="keys_file") from None


def _row(row: KeyRow, client: Client) -> dict[str, Any]:
    of = row.client
    return {
        "id": row.id,
        "name": of.name,
        "tenant": of.tenant,
        "scopes": sorted(of.scopes),
        "origins": sorted(of.origins),
        "requests_per_minute": of.requests_per_minute,
        "concurrent": of.concurrent,
        "created": of.created or None,
        "last_used": row.used,
        "current": of == client,
    }
