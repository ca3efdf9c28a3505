"""The child process that renders chat templates: jinja2's immutable sandbox, under the kernel's limits.

Run as a script with nothing of Sillar imported. A request is a length and JSON, and so is the answer. Each
request has its own limit of CPU time: a template that runs longer is ended by a signal, wherever it is.
"""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Any, BinaryIO

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment


class _RaisedError(Exception):
    """The template itself called raise_exception."""


class _Generation(Extension):
    """The tag that marks what an assistant wrote, for training: here its body is rendered as it stands."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _raise_exception(message: object = "") -> None:
    raise _RaisedError(str(message))


def _to_json(
    value: Any,
    indent: int | str | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
    ensure_ascii: bool = False,
) -> str:
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
        default=list,  # what filters such as map leave
    )


def _strftime_now(form: str) -> str:
    return datetime.now().astimezone().strftime(form)


@lru_cache(8)
def _compile(source: str) -> jinja2.Template:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.loopcontrols", "jinja2.ext.do", _Generation],
    )
    environment.filters["tojson"] = _to_json
    environment.globals.update(raise_exception=_raise_exception, strftime_now=_strftime_now)
    return environment.from_string(source)


def _render(request: dict[str, Any], limit: int) -> dict[str, Any]:
    """The answer to one request: {"text"} or {"error", "raised"}."""
    try:
        parts, length = [], 0
        for part in _compile(request["template"]).generate(request["variables"]):
            length += len(part)
            if length > limit:
                return {"error": f"its output is longer than {limit} characters", "raised": False}
            parts.append(part)
        return {"text": "".join(parts)}
    except _RaisedError as error:
        return {"error": str(error)[:500], "raised": True}
    except MemoryError:
        return {"error": "it needs too much memory", "raised": False}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"[:500], "raised": False}


def _limit_memory(size: int) -> None:
    try:
        import resource  # noqa: PLC0415

        resource.setrlimit(resource.RLIMIT_AS, (size, size))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ImportError, ValueError, OSError):
        return


def _cpu_timer() -> Callable[[float], None]:
    """Sets the CPU seconds after which the kernel ends this process; 0 switches it off."""
    import signal  # noqa: PLC0415

    if not hasattr(signal, "setitimer"):
        return lambda seconds: None
    return lambda seconds: signal.setitimer(signal.ITIMER_PROF, seconds) and None


def _read(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        sys.exit(0)
    return data


def main() -> None:
    """Serves requests until the other side closes the pipe."""
    memory, cpu_seconds, output = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    _limit_memory(memory)
    set_timer = _cpu_timer()
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    while True:
        (size,) = struct.unpack("<I", _read(requests, 4))
        raw = _read(requests, size)
        set_timer(cpu_seconds)
        answer = json.dumps(_render(json.loads(raw), output)).encode()
        set_timer(0)
        answers.write(struct.pack("<I", len(answer)) + answer)
        answers.flush()


if __name__ == "__main__":
    main()
