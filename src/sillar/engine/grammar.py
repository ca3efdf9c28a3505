"""Output that follows a JSON schema, a regular expression or a grammar: token masks by llguidance.

A grammar is hostile input: its size is bounded here, the work of compiling it by llguidance's own fuel.
"""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from llguidance import LLMatcher, LLParserLimits, LLTokenizer
from numpy.typing import NDArray

from sillar.engine.codec import Codec
from sillar.errors import RequestError

MAX_GRAMMAR = 100_000
"""Characters of a schema, an expression or a grammar."""
MAX_DEPTH = 64
_KEPT = 64
_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Grammar:
    """What an output must look like. `text` is a JSON schema, a regular expression or Lark."""

    kind: Literal["json_schema", "regex", "lark"]
    text: str

    @classmethod
    def json_schema(cls, schema: Mapping[str, Any]) -> Grammar:
        """Raises RequestError for a schema that is nested too deeply to be read."""
        if depth(schema) > MAX_DEPTH:
            raise RequestError(f"The schema is nested more than {MAX_DEPTH} levels deep.")
        return cls("json_schema", json.dumps(schema, ensure_ascii=False, sort_keys=False))


class MatcherConstraint:
    """Follows one output; implements sillar.engine.request.Constraint."""

    def __init__(self, matcher: LLMatcher, words: int) -> None:
        self._matcher = matcher
        self._words = words

    def fresh(self) -> MatcherConstraint:
        """The same grammar at its beginning, for another output."""
        return MatcherConstraint(self._matcher.deep_copy(), self._words)

    def mask(self) -> NDArray[np.uint32]:
        """Raises RequestError when the grammar turns out too complex, or allows nothing."""
        known = np.frombuffer(self._matcher.compute_bitmask(), np.uint32)
        self._check()
        if not known.any():
            raise RequestError("The grammar allows no token of this model here.")
        mask = np.zeros(self._words, np.uint32)
        mask[: len(known)] = known[: self._words]
        return mask

    def advance(self, token: int) -> bool:
        self._matcher.consume_token(token)
        self._check()
        return bool(self._matcher.is_stopped())

    def _check(self) -> None:
        if self._matcher.is_error():
            raise RequestError(f"The grammar failed: {self._matcher.get_error()[:300]}")


class GrammarCompiler:
    """Compiles grammars for one model, off the event loop, and keeps the last of them."""

    def __init__(self, codec: Codec, vocab_size: int) -> None:
        self._codec = codec
        self._vocab_size = vocab_size
        self._tokenizer: LLTokenizer | None = None
        self._kept: OrderedDict[Grammar, LLMatcher] = OrderedDict()
        # One thread: who sends large grammars waits for the others' and for no more than that.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sillar-grammar")

    async def compile(self, grammar: Grammar) -> MatcherConstraint:
        """Raises RequestError for a grammar that is wrong, too large or too slow to compile."""
        if len(grammar.text) > MAX_GRAMMAR:
            raise RequestError(f"The grammar has more than {MAX_GRAMMAR} characters.")
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_SECONDS):
                matcher = await loop.run_in_executor(self._thread, self._compile, grammar)
        except TimeoutError:
            raise RequestError("The grammar takes too long to compile.") from None
        return MatcherConstraint(matcher, -(-self._vocab_size // 32))

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _compile(self, grammar: Grammar) -> LLMatcher:
        if grammar in self._kept:
            self._kept.move_to_end(grammar)
            return self._kept[grammar].deep_copy()
        if self._tokenizer is None:
            eos = sorted(self._codec.eos_ids)
            self._tokenizer = LLTokenizer(_Vocabulary(self._codec), eos_token=eos)  # type: ignore[arg-type]
        try:
            source = _SOURCES[grammar.kind](grammar.text)
        except ValueError as error:
            raise RequestError(f"The grammar is wrong: {str(error)[:300]}") from None
        matcher = LLMatcher(self._tokenizer, source, log_level=0, limits=_limits())
        if matcher.is_error():
            raise RequestError(f"The grammar is wrong: {matcher.get_error()[:300]}")
        self._kept[grammar] = matcher
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return matcher.deep_copy()


_SOURCES = {
    "json_schema": lambda text: LLMatcher.grammar_from_json_schema(
        text, overrides={"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
    ),
    "regex": LLMatcher.grammar_from_regex,
    "lark": LLMatcher.grammar_from_lark,
}


class _Vocabulary:
    """A model's tokens as llguidance wants them."""

    is_tokenizer_wrapper = True

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self.tokens = [codec.token_bytes(token) for token in range(codec.vocab_size)]
        self.eos_token_id = min(codec.eos_ids)
        self.bos_token_id = None
        # Tokens without text are the model's protocol: no grammar spells them.
        self.special_token_ids = [i for i, piece in enumerate(self.tokens) if not piece]

    def __call__(self, text: bytes | str) -> list[int]:
        if isinstance(text, bytes):
            text = text.decode("utf-8", "replace")
        return self._codec.encode_text(text)


def _limits() -> LLParserLimits:
    return LLParserLimits(
        initial_lexer_fuel=500_000,
        step_lexer_fuel=100_000,
        step_max_items=30_000,
        max_lexer_states=50_000,
        max_grammar_size=100_000,
        verbose_errors=False,
    )


def depth(value: Any) -> int:
    """Levels of nesting, without recursion: the value comes from outside."""
    deepest, stack = 0, [(value, 1)]
    while stack:
        item, level = stack.pop()
        deepest = max(deepest, level)
        children = item.values() if isinstance(item, Mapping) else item if isinstance(item, list) else ()
        stack.extend((child, level + 1) for child in children)
    return deepest
