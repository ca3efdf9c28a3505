"""A model that speaks: conversations and plain prompts in, streamed text out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sillar.engine.codec import Codec, Message
from sillar.engine.engine import Engine, EngineOptions
from sillar.engine.grammar import Grammar, GrammarCompiler
from sillar.engine.request import GenerationParams
from sillar.engine.stream import TokenStream
from sillar.engine.text_stream import Choice, TextEvent, TextStream
from sillar.errors import ContextLengthError

if TYPE_CHECKING:
    from sillar.engine.native import NativeOptions, Progress

_MESSAGE_TOKENS = 64  # that a template puts around a message, at most
_CUT = 64  # tokens that a cut through a word may add
_QUICK = 4096  # characters that are tokenised right here; more would hold up the event loop


class LanguageModel:
    """One loaded model with its engine. `async with LanguageModel(...) as model: ...`

    Errors: RequestError, ContextLengthError, TemplateError for a request that cannot be served,
    OverloadedError when the queue is full; all before the first event.
    """

    def __init__(
        self,
        name: str,
        engine: Engine,
        codec: Codec,
        resources: AbstractContextManager[Any] | None = None,
        *,
        weights: int = 0,
    ) -> None:
        """`resources` is left when the model is closed. `weights`: a token is multiplied with; 0: unknown."""
        self.name = name
        self.engine = engine
        self.codec = codec
        self.weights = weights
        self._resources = resources or nullcontext()
        self.grammars = GrammarCompiler(codec, engine.vocab_size)

    @classmethod
    def load(
        cls,
        path: Path,
        native: NativeOptions | None = None,
        *,
        name: str | None = None,
        options: EngineOptions | None = None,
        progress: Progress | None = None,
    ) -> LanguageModel:
        """Reads a GGUF; see sillar.engine.loading. Takes seconds: call it outside the event loop."""
        from sillar.engine.loading import load_language_model  # noqa: PLC0415  needs the extension

        return load_language_model(path, native, name=name, options=options, progress=progress)

    async def __aenter__(self) -> LanguageModel:
        self._resources.__enter__()
        self.engine.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.engine.close()
        self.grammars.close()
        self._resources.__exit__(None, None, None)

    @property
    def context_length(self) -> int:
        """Tokens of a prompt and its answer together."""
        return self.engine.capacity

    def prompt_seconds(self) -> float:
        """That a token of a prompt would take which came now, by the speed seen lately and what runs."""
        return self.engine.prompt_seconds()

    def count_tokens(self, text: str) -> int:
        """Tokens of a plain text, without a begin token's help: an upper bound when texts are joined."""
        return len(self.codec.encode(text))

    async def open_chat(
        self,
        messages: Sequence[Message],
        params: GenerationParams,
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        grammar: Grammar | None = None,
        n: int = 1,
    ) -> TextStream:
        """Queues n answers to a conversation, which follow `grammar`. Iterate the stream, or cancel it."""
        text = "\n".join(str(message.get("content") or "") for message in messages)
        # Who is refused costs as little as possible: no rendering, no tokens, no compiled grammar.
        most = len(self.codec.template_source)
        most += sum(_MESSAGE_TOKENS + _bytes(str(message)) for message in messages)
        self.engine.check_early(params, self.context_length if tools else most)
        if len(text) > self.context_length:
            await asyncio.to_thread(self._check_length, text)
        # A template runs in a process of its own: never wait for it in the loop.
        prompt = await asyncio.to_thread(self.codec.encode_chat, messages, tools)
        if grammar is not None:
            self.engine.check(prompt, params)
            params = replace(params, constraint=await self.grammars.compile(grammar))
        return self._open(prompt, params, n)

    async def open_completion(
        self, prompt: str | Sequence[int], params: GenerationParams, *, n: int = 1, follows: bool = False
    ) -> TextStream:
        """Queues n continuations of a text, or of tokens. Iterate the stream, or cancel it.

        `follows`: one of several prompts of a request, not the first.
        """
        if not follows:
            most = _bytes(prompt) if isinstance(prompt, str) else len(prompt)
            self.engine.check_early(params, most + 1)
        if isinstance(prompt, str):
            encode = self.codec.encode
            if len(prompt) > max(_QUICK, self.context_length):
                await asyncio.to_thread(self._check_length, prompt)
            prompt = encode(prompt) if len(prompt) <= _QUICK else await asyncio.to_thread(encode, prompt)
        return self._open(prompt, params, n, follows=follows)

    async def chat(
        self,
        messages: Sequence[Message],
        params: GenerationParams,
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
    ) -> AsyncIterator[TextEvent]:
        """The answer to a conversation, piece by piece; leaving the iterator cancels it."""
        stream = await self.open_chat(messages, params, tools=tools)
        try:
            async for event in stream:
                yield event
        finally:
            stream.cancel()

    async def complete(
        self, prompt: str | Sequence[int], params: GenerationParams
    ) -> AsyncIterator[TextEvent]:
        """The continuation of a prompt, piece by piece; leaving the iterator cancels it."""
        stream = await self.open_completion(prompt, params)
        try:
            async for event in stream:
                yield event
        finally:
            stream.cancel()

    async def score_answers(
        self, conversations: Sequence[Sequence[Message]], answer: str, *, tenant: str = ""
    ) -> NDArray[np.float32]:
        """The log-probability of each token of `answer` after each conversation, [conversations, tokens].

        Raises as a request does; the conversations count as one.
        """
        encode = self.codec.encode_chat
        prompts = await asyncio.to_thread(lambda: [encode(messages) for messages in conversations])
        tokens = self.codec.encode_text(answer)
        streams: list[TokenStream] = []
        try:
            for prompt in prompts:
                params = GenerationParams(
                    max_tokens=0, prompt_logprobs=0, prompt_logprobs_from=len(prompt), tenant=tenant
                )
                streams.append(self.engine.submit([*prompt, *tokens], params, follows=bool(streams)))
            events = [[event async for event in stream] for stream in streams]
        finally:
            for stream in streams:
                stream.cancel()
        scores = [events_of[0].prompt_scores or () for events_of in events]
        return np.array([[score.logprob for score in row] for row in scores], np.float32)

    def _check_length(self, text: str) -> None:
        """Raises ContextLengthError for a text that is far too long, without tokenising all of it.

        Tokenising takes 130 times the text's memory, and seconds for a few megabytes.
        """
        capacity = self.context_length
        size = 2 * capacity
        while size < len(text):
            if len(self.codec.encode_text(text[:size])) > capacity + _CUT:
                raise ContextLengthError(
                    f"The prompt has far more than {capacity} tokens, which this model takes with the answer."
                )
            size *= 2

    def _open(
        self, prompt: Sequence[int], params: GenerationParams, n: int, *, follows: bool = False
    ) -> TextStream:
        """Choice i draws with seed + i; all share the prompt's cached blocks."""
        choices: list[Choice] = []
        try:
            for index in range(n):
                sampling = replace(params.sampling, seed=params.sampling.seed + index)
                constraint = params.constraint and params.constraint.fresh()
                own = replace(params, sampling=sampling, constraint=constraint)
                stream = self.engine.submit(prompt, own, follows=follows or index > 0)
                choices.append(Choice(index, stream, self.codec, params))
        except Exception:
            for choice in choices:
                choice.stream.cancel()
            raise
        return TextStream(choices, len(prompt))


def _bytes(text: str) -> int:
    """Of a text in UTF-8: it has no more tokens than that."""
    return len(text.encode("utf-8", "surrogatepass"))
