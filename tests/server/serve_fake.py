"""A server over fake models as a process of its own, for tests of signals: prints its port."""

from __future__ import annotations

import asyncio
import sys

from sillar.engine.engine import EngineOptions
from sillar.server.app import create_app
from sillar.server.listen import make_server
from sillar.server.options import Limits, ServerOptions
from sillar.server.state import ServerState
from tests.server.live import fake_models


async def main() -> None:
    model, embedder = fake_models(EngineOptions(), pause=0.01)
    async with model:
        state = ServerState(ServerOptions(port=0, limits=Limits(grace_seconds=float(sys.argv[1]))))
        state.language_models["fake"] = model
        state.embedders["fake-embedder"] = embedder
        await make_server(create_app(state), state, say, listening=say).serve()


def say(line: object) -> None:
    print(line, flush=True)


asyncio.run(main())
