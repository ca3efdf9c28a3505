"""A server over fake models as a process of its own, for tests that attack it: prints its port.

Its argument is JSON: {"limits": {...}, "engine": {...}, "pause": seconds of a step}. GET /test/vitals tells
what must not leak; POST /test/hold?on=1 keeps its steps from ending, and on=0 lets them go on.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import numpy as np
from fastapi import APIRouter

from sillar.engine.engine import EngineOptions
from sillar.server.app import create_app
from sillar.server.listen import make_server
from sillar.server.options import Limits, ServerOptions
from sillar.server.state import ServerState
from tests.server.live import fake_models

WEIGHTS = 160 << 20
"""Bytes: the default model's, with its cache."""


async def main() -> None:
    asked = json.loads(sys.argv[1])
    model, embedder = fake_models(EngineOptions(**asked.get("engine", {})), asked.get("pause", 0.01))
    weights = np.ones(WEIGHTS, np.uint8)  # so that memory is compared with that of a server with a model
    async with model:
        state = ServerState(ServerOptions(port=0, limits=Limits(**asked.get("limits", {}))))
        state.language_models["fake"] = model
        state.embedders["fake-embedder"] = embedder
        vitals = APIRouter()

        @vitals.get("/test/vitals")
        async def tell() -> dict[str, int]:
            assert weights.size == WEIGHTS
            used = model.engine.gauges()["kv_used"]
            return {"active": model.engine.active, "kv_used": used, "tasks": len(asyncio.all_tasks())}

        @vitals.post("/test/hold")
        async def hold(on: bool) -> None:
            stepper: Any = model.engine._stepper
            (stepper.go.clear if on else stepper.go.set)()

        await make_server(create_app(state, [vitals]), state, say, listening=say).serve()


def say(line: object) -> None:
    print(line, flush=True)


asyncio.run(main())
