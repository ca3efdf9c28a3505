"""`sillar serve`: checks the options, loads the models, serves until a signal, closes the models."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from sillar.documents import Follower, IndexProgress, default_index_path, make_rules
from sillar.documents.store.vectors import matrix_bytes
from sillar.engine.embedder import Embedder
from sillar.engine.engine import EngineOptions
from sillar.engine.language_model import LanguageModel
from sillar.engine.memory import available_memory
from sillar.engine.memory_plan import MemoryNeed, plan_memory
from sillar.engine.native import NativeOptions, memory_need
from sillar.engine.request import BLOCK_TOKENS
from sillar.engine.reranker import Reranker
from sillar.engine.spill import SpillOptions
from sillar.hub import resolve
from sillar.server.app import create_app
from sillar.server.auth import KeyStore
from sillar.server.frontend import open_frontend
from sillar.server.key_file import KeyFile
from sillar.server.library import Library
from sillar.server.listen import Say, make_server
from sillar.server.options import ServerOptions
from sillar.server.state import ServerState
from sillar.server.tracing import open_tracing


def run(options: ServerOptions, say: Say | None = None) -> int:
    """Serves until SIGTERM or SIGINT and returns the exit code. `say` takes progress, a line at a time.

    Raises ConfigError for options that must not be served, and the errors of loading a model.
    """
    options.check()
    say = say or (lambda line: print(line, file=sys.stderr, flush=True))
    keys = None if options.keys is None else KeyStore.read(options.keys)
    if keys is None and options.config.oidc.issuer:
        keys = KeyStore({})  # nobody has a key, but everybody has to log in
    state = ServerState(options, keys=keys)
    if options.keys is not None and keys is not None:
        state.key_file = KeyFile(options.keys, keys)
    if options.traces:
        state.tracing = open_tracing()
    try:
        return 0 if asyncio.run(_serve(state, say)) else 1
    finally:
        state.tracing.close()


async def _serve(state: ServerState, say: Say) -> bool:
    """Whether it came as far as listening."""
    async with _models(state, say), _library(state, say) as library:
        state.library = library
        async with open_frontend(state, library) as frontend:
            app = create_app(state, frontend.routers, public=frontend.public)
            server = make_server(app, state, say, lambda port: _invite(port, state, say))
            keys = asyncio.ensure_future(state.key_file.follow(say)) if state.key_file else None
            try:
                await server.serve()
            finally:
                if keys is not None:
                    keys.cancel()
            return server.started


@asynccontextmanager
async def _library(state: ServerState, say: Say) -> AsyncIterator[Library | None]:
    """Brings the index of the folder up to date; None without a folder."""
    folder = state.options.documents
    if folder is None:
        yield None
        return
    rules = make_rules(config=state.options.config.web)
    library = Library.open(folder, default_index_path(folder), state.embedder(None), rules)
    if state.options.rerank_answers:
        library.index.reranker = state.reranker(None)
    try:
        library.start(library.index.warm(), say)
        if library.index.stale:
            say(f"The index is out of date: {library.index.stale}.")
            say("It answers as it is while a new one is built.")
            library.start(_update(library, say), say)
        else:
            await _update(library, say)
        if state.options.watch:
            library.follow(Follower(library.index, folder, lambda change: say(str(change))), say)
        yield library
    finally:
        await library.close()


async def _update(library: Library, say: Say) -> None:
    """Makes the index equal to the folder, and goes on with what an interrupted server had taken."""
    report = await library.index.add_folder(library.folder, lambda step: _say_progress(step, say))
    counts = await library.index.counts()
    say(f"{library.folder}: {counts.documents} documents, {counts.chunks} passages, {report.seconds:.0f} s")
    await library.resume()


def _say_progress(step: IndexProgress, say: Say) -> None:
    if step.failed is not None:
        say(f"Left out {step.file}: {step.failed}")
    elif step.done % 50 == 0:
        say(f"Read {step.done} of {step.total} documents ...")


@asynccontextmanager
async def _models(state: ServerState, say: Say) -> AsyncIterator[None]:
    """Loads every model before the server listens, and closes them at the end."""
    options = state.options
    paths = {name: resolve(name) for name in (*options.chat_models, *options.embedders, *options.rerankers)}
    native = await asyncio.to_thread(_native_options, options, paths)
    state.memory_bytes = await asyncio.to_thread(_memory_bytes, paths, native)
    async with AsyncExitStack() as stack:
        for name in options.chat_models:
            say(f"Loading {name} ...")
            model = await asyncio.to_thread(
                LanguageModel.load,
                paths[name],
                native[name],
                name=name,
                options=_engine_options(options),
            )
            state.language_models[name] = await stack.enter_async_context(model)
        for name in options.embedders:
            say(f"Loading {name} ...")
            embedder = await asyncio.to_thread(Embedder.load, paths[name], native[name], name=name)
            stack.callback(embedder.close)
            state.embedders[name] = embedder
        for name in options.rerankers:
            say(f"Loading {name} ...")
            reranker = await asyncio.to_thread(Reranker.load, paths[name], native[name], name=name)
            stack.callback(reranker.close)
            state.rerankers[name] = reranker
        yield


def _native_options(options: ServerOptions, paths: Mapping[str, Path]) -> dict[str, NativeOptions]:
    """How each model is loaded, its KV cache sized so that all fit. Raises ResourceError before any loads."""
    engine = options.config.engine
    native = NativeOptions(
        engine.threads,
        engine.isa,
        engine.kv_type,
        engine.kv_tokens,
        engine.context,
        requests=options.limits.running,
    )
    needs = [memory_need(path, name, native) for name, path in paths.items()]
    if options.documents is not None:
        size = matrix_bytes(default_index_path(options.documents))
        needs.append(MemoryNeed("the documents' vectors", size))
    blocks = plan_memory(needs, available_memory())
    return {
        name: replace(native, kv_tokens=count * BLOCK_TOKENS)
        for name, count in zip(paths, blocks[: len(paths)], strict=True)
    }


def _memory_bytes(paths: Mapping[str, Path], native: Mapping[str, NativeOptions]) -> dict[str, int]:
    """What each model takes as it will be loaded."""
    needs = {name: memory_need(path, name, native[name]) for name, path in paths.items()}
    return {name: need.fixed_bytes + need.blocks * need.block_bytes for name, need in needs.items()}


def _engine_options(options: ServerOptions) -> EngineOptions:
    limits, engine = options.limits, options.config.engine
    spill = (
        SpillOptions(Path(engine.kv_spill).expanduser(), engine.kv_spill_bytes) if engine.kv_spill else None
    )
    return EngineOptions(
        max_running=limits.running,
        max_waiting=limits.waiting,
        first_token_seconds=limits.first_token_seconds,
        kv_spill=spill,
    )


def _invite(port: int, state: ServerState, say: Say) -> None:
    """What to do next, once the server listens."""
    host = f"[{state.options.host}]" if ":" in state.options.host else state.options.host
    base = f"http://{host}:{port}/v1"
    key = "" if state.keys is None else " -H 'Authorization: Bearer KEY'"
    say(f"Serving {', '.join(state.model_names) or 'no model'} at {base}")
    if state.library is not None:
        say(f"Ask in a browser: {base.removesuffix('v1')}")
    if state.language_models:
        body = '{"messages":[{"role":"user","content":"Hello!"}]}'
        say(f"Try: curl {base}/chat/completions{key} -H 'Content-Type: application/json' -d '{body}'")
