"""Messages to tokens, so that text of a message never becomes a control token.

A mark (a character that occurs nowhere) is put into every control token that a message's text spells out. The
template then works on almost the same text, the marked spellings match nothing, and the marks are dropped
from the plain text before it is tokenised: where no control tokens are spelt out, the tokens are those of the
plain rendering. A template could still build a control token out of harmless pieces. So where a text has any
character that a control token begins or ends with, a second rendering breaks at every such character, and
when the two differ in their control tokens, the second one is taken.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from sillar.chat_template.template import ChatTemplate, Message
from sillar.errors import RequestError

_MARKS = [chr(code) for code in range(0xFDD0, 0xFDF0)]
ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function", "ipython"})


class ChatTokenizer(Protocol):
    """What is needed of a tokenizer."""

    @property
    def control_texts(self) -> Mapping[str, int]: ...

    @property
    def bos_id(self) -> int | None: ...

    @property
    def add_bos(self) -> bool: ...

    def marked_parts(self, text: str, mark: str) -> list[str | int]: ...

    def encode_parts(self, parts: Iterable[str | int]) -> list[int]: ...

    def is_control(self, token: int) -> bool: ...


def encode_chat(
    tokenizer: ChatTokenizer,
    template: ChatTemplate,
    messages: Sequence[Message],
    tools: Sequence[Mapping[str, Any]] | None = None,
    add_generation_prompt: bool = True,
    **variables: Any,
) -> list[int]:
    """The tokens of a conversation, with the beginning of the assistant's turn.

    Control tokens come from the template alone. Raises RequestError for an unknown role and for text that is
    no Unicode, TemplateError when the template fails.
    """
    for message in messages:
        if message.get("role") not in ROLES:
            raise RequestError(f"The role {message.get('role')!r} is none of {', '.join(sorted(ROLES))}.")
    strings = list(_strings(messages)) + list(_strings(tools or ()))
    mark = next(
        (mark for mark in _MARKS if not any(mark in text for text in (*strings, template.source))), None
    )
    if mark is None:
        raise RequestError("The messages hold every character that is free for marking.")

    def parts_with(protect: Callable[[str], str]) -> list[str | int]:
        text = template.render(
            [_map(message, protect, keep_role=True) for message in messages],
            [_map(tool, protect) for tool in tools] if tools else None,
            add_generation_prompt,
            **variables,
        )
        return tokenizer.marked_parts(text, mark)

    spellings = tokenizer.control_texts
    parts = parts_with(_mark_spellings(spellings, mark))
    edges = re.compile(_edge_class(spellings)) if spellings else None
    if edges is not None and any(edges.search(text) for text in strings):
        safest = parts_with(lambda text: edges.sub(lambda match: mark + match.group() + mark, text))
        if _controls(tokenizer, safest) != _controls(tokenizer, parts):
            parts = safest
    tokens = tokenizer.encode_parts(parts)
    if tokenizer.add_bos and tokenizer.bos_id is not None and tokens[:1] != [tokenizer.bos_id]:
        tokens.insert(0, tokenizer.bos_id)
    return tokens


def _controls(tokenizer: ChatTokenizer, parts: Iterable[str | int]) -> list[int]:
    return [part for part in parts if isinstance(part, int) and tokenizer.is_control(part)]


def _mark_spellings(spellings: Iterable[str], mark: str) -> Callable[[str], str]:
    """Puts the mark behind the first character of every control token that a text spells out."""
    by_first: dict[str, list[str]] = {}
    for spelling in spellings:
        by_first.setdefault(spelling[0], []).append(spelling)
    if not by_first:
        return lambda text: text
    first = re.compile("[" + "".join(map(re.escape, by_first)) + "]")

    def mark_one(match: re.Match[str]) -> str:
        at = match.start()
        spelt = any(match.string.startswith(spelling, at) for spelling in by_first[match.group()])
        if not spelt:
            return match.group()
        return match.group() + mark

    return lambda text: first.sub(mark_one, text)


def _edge_class(spellings: Iterable[str]) -> str:
    edges = {spelling[0] for spelling in spellings} | {spelling[-1] for spelling in spellings}
    return "[" + "".join(map(re.escape, sorted(edges))) + "]"


def _strings(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield str(key)
            yield from _strings(item)
    elif isinstance(value, Sequence) and not isinstance(value, bytes):
        for item in value:
            yield from _strings(item)


def _map(value: Any, change: Callable[[str], str], keep_role: bool = False) -> Any:
    """`value` with every string changed, keys too (the message's own role excepted)."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {
            change(str(key)): item if keep_role and key == "role" else _map(item, change)
            for key, item in value.items()
        }
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [_map(item, change) for item in value]
    return value
