"""One live server for the tests that leave it as it was; and an app with documents for two tenants."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from hashlib import sha256
from pathlib import Path

import httpx
import pytest

from sillar.documents.journal import Journal
from sillar.engine.engine import EngineOptions
from sillar.server.app import create_app
from sillar.server.auth import SCOPES, Client, KeyStore
from sillar.server.frontend import open_frontend
from sillar.server.library import Library
from sillar.server.options import Limits, ServerOptions
from sillar.server.state import ServerState
from tests.documents.fakes import open_index
from tests.server.live import Live, fake_models, live_server
from tests.server.target import Target, target, warm_up

SMALL = {"running": 4, "waiting": 8, "connections": 300}
HASTY = {**SMALL, "header_seconds": 0.5, "body_seconds": 1.0, "stall_seconds": 1.0}
HANDBOOK = "# Returns\n\nGoods may be returned within 30 days of delivery.\n\n# Hours\n\nWe open at nine.\n"


@pytest.fixture(scope="session")
def live() -> Iterator[Live]:
    with live_server() as server:
        yield server


@pytest.fixture(scope="session")
def attacked() -> Iterator[Target]:
    """A process with a small queue and steps of a millisecond."""
    with target(0.001, SMALL, max_running=4, max_waiting=8) as found:
        warm_up(found)
        yield found


@pytest.fixture(scope="module")
def hasty() -> Iterator[Target]:
    """The same with short deadlines, which a busy machine's honest clients would miss."""
    with target(0.001, HASTY, max_running=4, max_waiting=8) as found:
        found.watch()
        yield found


@pytest.fixture(scope="module")
def server(attacked: Target) -> Target:
    """The same, its memory and tasks measured from here on."""
    attacked.watch()
    return attacked


@pytest.fixture
def stays_well(server: Target) -> Iterator[None]:
    """What must hold after a test with it."""
    yield
    server.check()


@pytest.fixture(scope="session")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder `docs` with the handbook, and its `index.db`: made once, a parser's process takes a second."""
    made = tmp_path_factory.mktemp("indexed")
    (made / "docs").mkdir()
    (made / "docs" / "handbook.md").write_text(HANDBOOK)

    async def index() -> None:
        async with open_index(made / "index.db") as index:
            await index.add_folder(made / "docs")

    asyncio.run(index())
    return made


@pytest.fixture
async def library(indexed: Path, tmp_path: Path) -> AsyncIterator[Library]:
    shutil.copytree(indexed, tmp_path, dirs_exist_ok=True)
    index = open_index(tmp_path / "index.db")
    library = Library(index, Journal(tmp_path / "journal.db"), tmp_path / "docs", tmp_path / "uploads")
    yield library
    await library.close()


@pytest.fixture
async def client(library: Library) -> AsyncIterator[httpx.AsyncClient]:
    people = {sha256(name.encode()).hexdigest(): Client(name, name) for name in ("ana", "bob")}
    people[sha256(b"clerk").hexdigest()] = Client("clerk", "ana", SCOPES - {"admin"})
    model, embedder = fake_models(EngineOptions(), 0.0)
    async with model:
        options = ServerOptions(limits=Limits(upload_bytes=100_000))
        state = ServerState(options, {"fake": model}, {"e": embedder}, KeyStore(people))
        async with open_frontend(state, library) as frontend:
            app = create_app(state, frontend.routers, public=frontend.public)
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                yield client
