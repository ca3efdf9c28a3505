"""Structured output over the fake stepper, which draws at random: only the grammar makes it JSON."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from sillar.engine.engine import Engine
from sillar.engine.grammar import Grammar, GrammarCompiler
from sillar.engine.language_model import LanguageModel
from sillar.engine.request import GenerationParams, SamplingParams
from sillar.errors import RequestError
from tests.engine.fake import FakeStepper
from tests.engine.fake_text import EOS, FakeCodec

SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "maxLength": 8},
        "count": {"type": "integer", "minimum": 0, "maximum": 99},
        "kind": {"enum": ["a", "b"]},
    },
    "required": ["city", "count", "kind"],
    "additionalProperties": False,
}


@pytest.fixture
async def model() -> AsyncIterator[LanguageModel]:
    engine = Engine(FakeStepper(), eos_ids=frozenset({EOS}))
    async with LanguageModel("fake", engine, FakeCodec()) as model:
        yield model


async def write(model: LanguageModel, grammar: Grammar, seed: int, n: int = 1) -> list[str]:
    params = GenerationParams(
        sampling=SamplingParams(temperature=1, seed=seed),
        max_tokens=400,
        constraint=await model.grammars.compile(grammar),
    )
    texts = [""] * n
    async for event in await model.open_completion("x", params, n=n):
        texts[event.index] += event.text
        if event.finish_reason:
            assert event.finish_reason == "stop"
    return texts


@pytest.mark.parametrize("seed", range(5))
async def test_random_draws_become_json_of_the_schema(model: LanguageModel, seed: int) -> None:
    for text in await write(model, Grammar.json_schema(SCHEMA), seed, n=3):
        value = json.loads(text)
        assert value.keys() == {"city", "count", "kind"}
        assert len(value["city"]) <= 8
        assert 0 <= value["count"] <= 99
        assert value["kind"] in {"a", "b"}


async def test_a_regular_expression_is_matched_whole(model: LanguageModel) -> None:
    pattern = r"[A-Z]{3}-[0-9]{4}( or [a-z]{2,5})?"
    for seed in range(5):
        [text] = await write(model, Grammar("regex", pattern), seed)
        assert re.fullmatch(pattern, text)


async def _write_30(model: LanguageModel, grammar: Grammar) -> None:
    params = GenerationParams(max_tokens=30, constraint=await model.grammars.compile(grammar))
    async for event in model.complete("x", params):
        if event.finish_reason == "length":
            raise RequestError("bounded by max_tokens")


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "integer"}
    for _ in range(levels):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


@pytest.mark.parametrize(
    "grammar",
    [
        Grammar("regex", "(" * 50),
        Grammar("regex", "[z-a]"),
        Grammar("regex", "(a|b)" * 30_000),
        Grammar("json_schema", "{"),
        Grammar("json_schema", '{"type": "wizard"}'),
        Grammar("json_schema", '{"$ref": "#/$defs/missing"}'),
        Grammar("json_schema", '{"$ref": "http://localhost:1/schema"}'),
        Grammar("json_schema", '{"type": "string", "pattern": "((a{1,9999}){1,9999}){1,9999}"}'),
        Grammar("lark", "start: start start"),
        Grammar("lark", "what"),
    ],
)
async def test_bad_grammars_are_refused_or_bounded(model: LanguageModel, grammar: Grammar) -> None:
    with pytest.raises(RequestError):
        await _write_30(model, grammar)
    assert await write(model, Grammar("regex", "ok"), 0) == ["ok"]


async def test_schemas_may_be_recursive_but_not_deeper_than_can_be_read(model: LanguageModel) -> None:
    with pytest.raises(RequestError, match="deep"):
        Grammar.json_schema(nested(5000))
    tree = {
        "type": "object",
        "properties": {"children": {"type": "array", "items": {"$ref": "#"}, "maxItems": 2}},
        "required": ["children"],
        "additionalProperties": False,
    }
    params = GenerationParams(
        sampling=SamplingParams(temperature=1, seed=1),
        max_tokens=2000,
        constraint=await model.grammars.compile(Grammar.json_schema(tree)),
    )
    text, reason = "", None
    async for event in model.complete("x", params):
        text, reason = text + event.text, event.finish_reason
    assert reason == "length" or json.loads(text)["children"] is not None


async def test_compiled_grammars_are_kept_up_to_a_bound() -> None:
    compiler = GrammarCompiler(FakeCodec(), 101)
    for i in range(100):
        await compiler.compile(Grammar("regex", f"x{i}"))
    assert len(compiler._kept) == 64
    compiler.close()
