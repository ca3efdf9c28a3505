"""Divides an answer, as it streams, into what is said and the function calls in it."""

from __future__ import annotations

import json
import re
import secrets
import string
from collections.abc import Collection
from typing import Any

from sillar.engine.stops import StopMatcher
from sillar.server.tool_formats import ToolFormat

Part = dict[str, Any]
"""What is new in a call, as chat's deltas say it: {index, id, type, function: {name, arguments}} at first,
then {index, function: {arguments}}."""

_HEAD = re.compile(
    r'\{\s*"name"\s*:\s*"(?P<name>[^"\\]+)"\s*,\s*"(?:arguments|parameters)"\s*:\s*(?=\{)', re.DOTALL
)
_ALPHABET = string.ascii_letters + string.digits


class CallFinder:
    """push() what comes, finish() at the end; both return what is said and the parts of calls.

    A call is told as soon as its name is known, its arguments as they come. Text that only looks like a
    call is said, at the end; what follows a call is not.
    """

    def __init__(self, form: ToolFormat, names: Collection[str]) -> None:
        """`names`: of the functions. A format without a marker counts calls of these only."""
        self._form = form
        self._names = names
        self._matcher = StopMatcher((form.marker,))
        self._opened = False
        self._begun = False  # whether the answer began as text
        self._held = ""  # the beginning of an answer that may open a call
        self._seen = ""  # what the matcher was given
        self._rest = ""  # behind the marker, not understood yet
        self._raw = ""  # everything behind the marker, in case it is no call
        self._count = 0
        self._object: _ObjectScanner | None = None  # of the call whose arguments are coming

    @property
    def found(self) -> bool:
        """Whether there was a call."""
        return self._count > 0

    def push(self, text: str) -> tuple[str, list[Part]]:
        """What is certainly said, and what is new in calls."""
        said = ""
        if not self._opened:
            said, text = self._until_open(text)
        if self._opened:
            self._raw += text
            self._rest += text
        return said, self._parts()

    def finish(self) -> tuple[str, list[Part]]:
        """The rest of what is said."""
        if self._count:
            return "", []
        if self._opened:
            return self._raw, []
        return self._held + self._matcher.flush(), []

    def _until_open(self, text: str) -> tuple[str, str]:
        """What is said before a call opens, and the text from there on."""
        if not self._begun and self._form.opener:
            self._held += text
            start, expected = "".join(self._held.split()), self._form.opener + '"name":'
            if start.startswith(expected):
                self._opened = True
                return "", self._held
            if expected.startswith(start):
                return "", ""
            text, self._held = self._held, ""
        self._begun = True
        self._seen += text
        said = self._matcher.push(text)
        if not self._matcher.matched:
            return said, ""
        self._opened = True
        # The marker belongs to what is said if this turns out to be no call.
        self._raw = self._form.marker
        rest = self._seen[self._seen.find(self._form.marker) + len(self._form.marker) :]
        self._seen = ""
        return said, rest

    def _parts(self) -> list[Part]:
        parts: list[Part] = []
        while self._rest:
            if self._object is None and not self._begin_call(parts):
                break
            if self._object is not None:
                piece, self._rest = self._object.take(self._rest)
                if piece:
                    parts.append({"index": self._count - 1, "function": {"arguments": piece}})
                if not self._object.done:
                    break
                self._object = None
        return _joined(parts)

    def _begin_call(self, parts: list[Part]) -> bool:
        """Whether a call begins in the rest, or a whole one was found there."""
        if self._count and self._form.between not in self._rest:
            return False
        begin = self._rest.find("{", max(0, self._rest.find(self._form.between)) if self._count else 0)
        if begin < 0 or (not self._count and self._rest[:begin].strip(" \n\t[")):
            return False
        head = _HEAD.match(self._rest, begin)
        if head is not None:
            if not self._counts(head["name"]):
                return False
            parts.append(self._head(head["name"], ""))
            self._rest = self._rest[head.end() :]
            self._object = _ObjectScanner()
            return True
        return self._whole_call(begin, parts)

    def _whole_call(self, begin: int, parts: list[Part]) -> bool:
        """Calls in an unusual order, without arguments or with arguments in a string."""
        try:
            call, end = json.JSONDecoder().raw_decode(self._rest, begin)
            name, arguments = call["name"], call.get("arguments", call.get("parameters", {}))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return False
        if not isinstance(name, str) or not self._counts(name):
            return False
        text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
        parts.append(self._head(name, text))
        self._rest = self._rest[end:]
        return True

    def _counts(self, name: str) -> bool:
        return not self._form.opener or name in self._names

    def _head(self, name: str, arguments: str) -> Part:
        self._count += 1
        random = "".join(secrets.choice(_ALPHABET) for _ in range(self._form.id_length))
        function = {"name": name, "arguments": arguments}
        prefix = "" if self._form.bare_ids else "call_"
        return {
            "index": self._count - 1,
            "id": prefix + random,
            "type": "function",
            "function": function,
        }


class _ObjectScanner:
    """Takes a JSON object out of the front of a text that comes in pieces, and the rest of its parent."""

    def __init__(self) -> None:
        self._depth = 1  # the call's own brace is open
        self._quoted = self._escaped = False
        self._passed = False
        self.done = False

    def take(self, text: str) -> tuple[str, str]:
        """What belongs to the object, and what comes after its parent's end."""
        out = ""
        for at, character in enumerate(text):
            if not self._passed:
                out += character
            self._step(character)
            if self.done:
                return out, text[at + 1 :]
        return out, ""

    def _step(self, character: str) -> None:
        if self._quoted:
            if self._escaped:
                self._escaped = False
            elif character == "\\":
                self._escaped = True
            elif character == '"':
                self._quoted = False
        elif character == '"':
            self._quoted = True
        elif character in "{[":
            self._depth += 1
        elif character in "}]":
            self._depth -= 1
            self._passed = self._passed or self._depth == 1
            self.done = self._depth == 0


def _joined(parts: list[Part]) -> list[Part]:
    """Arguments of the same call in one part."""
    out: list[Part] = []
    for part in parts:
        if out and out[-1]["index"] == part["index"]:
            out[-1]["function"]["arguments"] += part["function"]["arguments"]
        else:
            out.append(part)
    return out
