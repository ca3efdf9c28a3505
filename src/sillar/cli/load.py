"""Builds the objects that commands use, each from its own settings, and runs what is asynchronous."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import typer

from sillar import hub
from sillar.cli.output import status
from sillar.config import EngineConfig, ModelsConfig
from sillar.engine.embedder import Embedder
from sillar.engine.language_model import LanguageModel
from sillar.engine.native import NativeOptions
from sillar.errors import ModelNotFoundError

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """Runs a command's coroutine; Ctrl-C ends it with exit code 130."""
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def native_options(config: EngineConfig) -> NativeOptions:
    """The engine's settings as the native side takes them."""
    return NativeOptions(
        threads=config.threads,
        isa=config.isa,
        kv_type=config.kv_type,
        kv_tokens=config.kv_tokens,
        context=config.context,
    )


def pulled_reranker(models: ModelsConfig) -> list[str]:
    """The reranker's name, or none: the default one is used where it has been pulled, and not missed.

    Raises ModelNotFoundError for another one that is not here.
    """
    if not models.reranker:
        return []
    try:
        hub.resolve(models.reranker)
    except ModelNotFoundError:
        if models.reranker == hub.DEFAULT_RERANKER:
            return []
        raise
    return [models.reranker]


@asynccontextmanager
async def language_model(name: str, config: EngineConfig) -> AsyncIterator[LanguageModel]:
    """The running model of this name, closed at the end."""
    path = hub.resolve(name)
    with status(f"loading {name}"):
        model = LanguageModel.load(path, native_options(config), name=name)
    async with model:
        yield model


@asynccontextmanager
async def embedder(name: str, config: EngineConfig) -> AsyncIterator[Embedder]:
    """The embedder of this name, closed at the end."""
    path = hub.resolve(name)
    with status(f"loading {name}"):
        loaded = Embedder.load(path, native_options(config))
    try:
        yield loaded
    finally:
        loaded.close()
