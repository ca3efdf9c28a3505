"""A server over fake models, on a loopback port, in a thread of its own."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sillar.config import Config
from sillar.documents.journal import Journal
from sillar.engine.embedder import Embedder, EmbedderSpec
from sillar.engine.engine import Engine, EngineOptions
from sillar.engine.language_model import LanguageModel
from sillar.engine.reranker import Reranker
from sillar.server.app import create_app
from sillar.server.auth import KeyStore
from sillar.server.frontend import open_frontend
from sillar.server.library import Library
from sillar.server.listen import make_server
from sillar.server.options import Limits, ServerOptions
from sillar.server.state import ServerState
from sillar.server.tracing import Tracing
from tests.documents.fakes import open_index
from tests.engine.fake import FakeStepper
from tests.engine.fake_text import EOS, FakeCodec


class FakeEncoder:
    """Unit vectors that say the length of the text."""

    dim = 4
    max_tokens = 64

    def encode(self, texts: Sequence[NDArray[np.int32]]) -> NDArray[np.float32]:
        angles = np.array([len(t) / 100 for t in texts], np.float32)
        zero = np.zeros_like(angles)
        return np.stack((np.cos(angles), np.sin(angles), zero, zero), axis=1)


class FakePairEncoder:
    """The score of a pair: how many of its second text's tokens are among the first's."""

    max_tokens = 64

    def score(self, pairs: Sequence[NDArray[np.int32]], first: NDArray[np.int32]) -> NDArray[np.float32]:
        cut = [(pair[:n], pair[n:]) for pair, n in zip(pairs, first, strict=True)]
        return np.array([np.isin(b, a).sum() for a, b in cut], np.float32)


@dataclass
class Live:
    """A running server."""

    state: ServerState
    port: int
    engine: Engine
    loop: asyncio.AbstractEventLoop

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def tasks(self) -> int:
        """Tasks of the server's loop."""
        return len(asyncio.all_tasks(self.loop))


def fake_models(options: EngineOptions, pause: float) -> tuple[LanguageModel, Embedder]:
    engine = Engine(FakeStepper(kv_blocks=512, order=3, pause=pause), options, eos_ids=frozenset({EOS}))
    spec = EmbedderSpec("fake-embedder", "f", {"query": "q: ", "passage": "p: "})
    embedder = Embedder(FakeEncoder(), FakeCodec().encode, spec)
    return LanguageModel("fake", engine, FakeCodec()), embedder


def free_port() -> int:
    """A port that was free a moment ago, for servers whose settings name their own address."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def live_server(
    *,
    limits: Limits | None = None,
    engine: EngineOptions | None = None,
    pause: float = 0.0,
    keys: KeyStore | None = None,
    documents: Path | None = None,
    config: Config | None = None,
    port: int = 0,
    tracing: Tracing | None = None,
    **app_options: Any,
) -> Iterator[Live]:
    """Starts it, hands it over, and stops it. `documents`: a folder to answer from, with the page."""
    options = ServerOptions(port=port, limits=limits or Limits(), config=config or Config())
    started: threading.Event = threading.Event()
    live: list[Live] = []
    stop: list[Any] = []

    async def main() -> None:
        model, embedder = fake_models(engine or EngineOptions(), pause)
        async with model, _library(documents) as library:
            state = ServerState(options, {"fake": model}, {"fake-embedder": embedder}, keys)
            state.rerankers["fake-reranker"] = Reranker(
                "fake-reranker", FakePairEncoder(), lambda text, _: FakeCodec().encode(text)
            )
            state.library = library
            state.tracing = tracing or state.tracing
            async with open_frontend(state, library) as frontend:
                if library is not None:
                    app_options.update(routers=frontend.routers, public=frontend.public)
                server = make_server(create_app(state, **app_options), state, lambda _: None)
                server.capture_signals = _no_signals  # type: ignore[method-assign,assignment]
                task = asyncio.ensure_future(server.serve())
                while not server.started and not task.done():  # noqa: ASYNC110  uvicorn has no event for it
                    await asyncio.sleep(0.005)
                port = server.servers[0].sockets[0].getsockname()[1]
                live.append(Live(state, port, model.engine, asyncio.get_running_loop()))
                stop.append(lambda: setattr(server, "should_exit", True))
                started.set()
                await task
            state.rerankers["fake-reranker"].close()

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    while not started.wait(0.5):
        assert thread.is_alive(), "the server did not start"
    try:
        yield live[0]
    finally:
        stop[0]()
        thread.join(120)
        assert not thread.is_alive(), "the server did not stop"


@asynccontextmanager
async def _library(folder: Path | None) -> AsyncIterator[Library | None]:
    if folder is None:
        yield None
        return
    beside = folder.with_name(f"{folder.name}-index")
    library = Library(open_index(beside / "i.db"), Journal(beside / "j.db"), folder, beside / "uploads")
    await library.index.add_folder(folder)
    yield library
    await library.close()


@contextmanager
def _no_signals() -> Iterator[None]:
    yield
