"""POST /v1/completions: plain continuations, with echo and log-probabilities for evaluation harnesses."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from functools import cache
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import Field
from starlette.responses import JSONResponse, Response

from sillar.engine.codec import Codec
from sillar.engine.language_model import LanguageModel
from sillar.engine.request import TokenScore
from sillar.engine.text_stream import TextEvent, TextStream
from sillar.server.answer import UsageSum, envelope, finite, timed, token_text
from sillar.server.auth import Client, require_key
from sillar.server.errors import ApiError
from sillar.server.params import check_scores, generation_params
from sillar.server.state import ServerState
from sillar.server.streaming import DONE, EventStream, sse, while_connected
from sillar.server.types import MAX_CHOICES, MAX_TOP_LOGPROBS, GenerationRequest, Text, TokenId

_MAX_PROMPTS = 128
_DEFAULT_TOKENS = 16  # OpenAI's

Tokens = Annotated[list[TokenId], Field(min_length=1)]


class CompletionRequest(GenerationRequest):
    """OpenAI's completion request."""

    prompt: Annotated[Text | Tokens | list[Text] | list[Tokens], Field(union_mode="left_to_right")]
    echo: bool | None = None
    logprobs: Annotated[int | None, Field(ge=0, le=MAX_TOP_LOGPROBS)] = None
    best_of: Annotated[int | None, Field(ge=1, le=MAX_CHOICES)] = None

    @classmethod
    def refusals(cls) -> dict[str, str]:
        return {"suffix": "the models here do not fill in the middle"}

    def prompts(self) -> list[str | list[int]]:
        """One or more; each is a text or tokens."""
        prompt = self.prompt
        if isinstance(prompt, str):
            return [prompt]
        if prompt and isinstance(prompt[0], int):
            return [prompt]
        return list(prompt)  # type: ignore[arg-type]


def router(state: ServerState) -> APIRouter:
    """The route over the state's language models."""
    routes = APIRouter(tags=["generation"])

    @routes.post("/v1/completions", response_model=None)
    async def completions(
        body: CompletionRequest,
        request: Request,
        client: Annotated[Client, Depends(require_key("generate"))],
    ) -> Response:
        """Continues one prompt or several."""
        answer = _Answer(state, state.language_model(body.model), body, time.perf_counter())
        streams = await while_connected(request, answer.open(client))
        if body.stream:
            return EventStream(answer.chunks(streams), lambda: _cancel(streams))
        return JSONResponse(await while_connected(request, answer.whole(streams)))

    return routes


class _Answer:
    """One request's answer, in either form. Choice i of prompt p has index p * n + i."""

    def __init__(
        self, state: ServerState, model: LanguageModel, body: CompletionRequest, arrived: float
    ) -> None:
        self._state = state
        self._model = model
        self._body = body
        self._arrived = arrived
        self._n = body.n or 1
        self._usage = UsageSum()
        self._prompts = body.prompts()
        if not 1 <= len(self._prompts) <= _MAX_PROMPTS:
            raise ApiError(400, f"1 to {_MAX_PROMPTS} prompts can be given at once", param="prompt")
        if body.best_of is not None and body.best_of != self._n:
            raise ApiError(400, "best_of is not supported here, unless it equals n", param="best_of")
        if len(self._prompts) * self._n > _MAX_PROMPTS:
            raise ApiError(400, f"prompts times n must be {_MAX_PROMPTS} at most", param="n")

    async def open(self, client: Client) -> list[TextStream]:
        body = self._body
        params = generation_params(
            body,
            self._state.options.config.sampling,
            client,
            vocab_size=self._model.codec.vocab_size,
            max_tokens=_DEFAULT_TOKENS if body.max_tokens is None else body.max_tokens,
            logprobs=0 if body.logprobs is None else max(1, body.logprobs),
            prompt_logprobs=body.logprobs if body.echo else None,
        )
        streams: list[TextStream] = []
        try:
            for prompt in self._prompts:
                follows = bool(streams)  # the first prompt decides whether all of them are let in
                streams.append(await self._model.open_completion(prompt, params, n=self._n, follows=follows))
            check_scores(streams, params, self._n, self._model.context_length)
        except BaseException:
            _cancel(streams)
            raise
        return streams

    async def whole(self, streams: Sequence[TextStream]) -> dict[str, Any]:
        choices = []
        try:
            for p, stream in enumerate(streams):
                choices += await self._choices(p, stream)
        finally:
            _cancel(streams)
        head = envelope("cmpl", "text_completion", self._model.name)
        return {**head, "choices": choices, "usage": self._usage.payload()}

    async def _choices(self, p: int, stream: TextStream) -> list[dict[str, Any]]:
        echoed = self._echo(p)
        texts = [echoed] * self._n
        scores: list[list[TokenScore]] = [[] for _ in range(self._n)]
        reasons: list[str | None] = [None] * self._n
        async for event in timed(stream, self._state, self._model.name, self._arrived):
            i = event.index
            texts[i] += event.text
            scores[i] += _scores(event)
            if event.usage is not None:
                self._usage.add(event.usage, first=i == 0)
                reasons[i] = event.finish_reason
        return [
            {
                "index": p * self._n + i,
                "text": texts[i],
                "logprobs": self._logprobs(scores[i], 0),
                "finish_reason": reasons[i],
            }
            for i in range(self._n)
        ]

    async def chunks(self, streams: Sequence[TextStream]) -> AsyncIterator[bytes]:
        """Prompt after prompt: a stream of several prompts is read in their order."""
        head = envelope("cmpl", "text_completion", self._model.name)
        for p, stream in enumerate(streams):
            lengths = [0] * self._n
            for i in range(self._n):
                if echoed := self._echo(p):
                    yield sse({**head, "choices": [_choice(p * self._n + i, echoed, None, None)]})
                lengths[i] = len(echoed)
            async for event in timed(stream, self._state, self._model.name, self._arrived):
                i = event.index
                scores = _scores(event)
                begin = 0 if event.prompt_scores else lengths[i]
                logprobs = self._logprobs(scores, begin) if scores else None
                lengths[i] += len(event.text)
                choice = _choice(p * self._n + i, event.text, logprobs, event.finish_reason)
                if event.usage is not None:
                    self._usage.add(event.usage, first=i == 0)
                yield sse({**head, "choices": [choice]})
        options = self._body.stream_options
        if options is not None and options.include_usage:
            yield sse({**head, "choices": [], "usage": self._usage.payload()})
        yield DONE

    def _echo(self, p: int) -> str:
        if not self._body.echo:
            return ""
        prompt = self._prompts[p]
        return prompt if isinstance(prompt, str) else text_of(self._model.codec, prompt)

    def _logprobs(self, scores: Sequence[TokenScore], begin: int) -> dict[str, Any] | None:
        if self._body.logprobs is None:
            return None
        return legacy_logprobs(self._model.codec, scores, self._body.logprobs, begin)


def _scores(event: TextEvent) -> list[TokenScore]:
    """With the token that ended the text: harnesses count on an entry for every token that was drawn."""
    end = () if event.end is None else (event.end,)
    return [*(event.prompt_scores or ()), *event.tokens, *end]


def legacy_logprobs(codec: Codec, scores: Sequence[TokenScore], top: int, begin: int) -> dict[str, Any]:
    """The completion route's shape: parallel lists. `begin`: the first token's offset in the text."""
    text = cache(lambda token: token_text(codec, token))  # the same few, often
    tokens = [text(score.token) for score in scores]
    offsets = []
    for score in scores:
        offsets.append(begin)
        begin += len(codec.token_bytes(score.token).decode("utf-8", "replace"))
    tops = [
        {text(token): finite(logprob) for token, logprob in score.top[:top]}
        if score.logprob is not None
        else None
        for score in scores
    ]
    return {
        "tokens": tokens,
        "token_logprobs": [finite(score.logprob) for score in scores],
        "top_logprobs": tops if top else None,
        "text_offset": offsets,
    }


def text_of(codec: Codec, tokens: Sequence[int]) -> str:
    """Tokens as one text."""
    decoder = codec.decoder()
    return "".join(map(decoder.push, tokens)) + decoder.flush()


def _choice(index: int, text: str, logprobs: dict[str, Any] | None, reason: str | None) -> dict[str, Any]:
    return {"index": index, "text": text, "logprobs": logprobs, "finish_reason": reason}


def _cancel(streams: Sequence[TextStream]) -> None:
    for stream in streams:
        stream.cancel()
