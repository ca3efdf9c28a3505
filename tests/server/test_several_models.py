"""Several models in one process: each answers to its own name, and only its own engine works."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from sillar.engine.engine import Engine
from sillar.engine.language_model import LanguageModel
from sillar.engine.request import GenerationParams
from sillar.server.app import create_app
from sillar.server.options import ServerOptions
from sillar.server.state import ServerState
from tests.engine.fake import FakeStepper, oracle
from tests.engine.fake_text import EOS, FakeCodec, text_of
from tests.server.target import CHAT, HONEST, MESSAGES

ORDERS = {"one": 2, "two": 3}  # what their answers differ by


def model(name: str, order: int) -> LanguageModel:
    engine = Engine(FakeStepper(kv_blocks=64, order=order), eos_ids=frozenset({EOS}))
    return LanguageModel(name, engine, FakeCodec())


@pytest.fixture
async def models() -> AsyncIterator[dict[str, LanguageModel]]:
    made = {name: model(name, order) for name, order in ORDERS.items()}
    async with made["one"], made["two"]:
        yield made


async def test_each_answers_to_its_name(models: dict[str, LanguageModel]) -> None:
    app = create_app(ServerState(ServerOptions(), dict(models), {}, None))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        listed = (await client.get("/v1/models")).json()["data"]
        assert [entry["id"] for entry in listed] == ["one", "two"]
        prompt = FakeCodec().encode_chat(MESSAGES)
        params = GenerationParams(max_tokens=10, ignore_eos=True)
        said = {}
        for name, order in ORDERS.items():
            answer = (await client.post(CHAT, json={**HONEST, "model": name})).json()
            said[name] = answer["choices"][0]["message"]["content"]
            assert answer["model"] == name
            assert said[name] == text_of(oracle(prompt, params, order=order))
            assert models[name].engine.stats.generated_tokens == 10
        assert said["one"] != said["two"]
        unnamed = (await client.post(CHAT, json=HONEST)).json()
        assert unnamed["model"] == "one"  # the first that was asked for
        unknown = await client.post(CHAT, json={**HONEST, "model": "three"})
        assert unknown.status_code == 404
        assert "one" in unknown.json()["error"]["message"]
        assert "two" in unknown.json()["error"]["message"]
