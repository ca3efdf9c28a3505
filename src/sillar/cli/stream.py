"""Shows an answer as it comes, and keeps what a caller wants to know about it."""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, field
from typing import Any

from sillar.engine.request import Usage
from sillar.engine.text_stream import TextEvent


@dataclass(slots=True)
class Answer:
    """A finished or interrupted answer. Times in seconds since the request."""

    text: str = ""
    finish_reason: str = "cancelled"
    usage: Usage = field(default_factory=Usage)
    ttft: float = 0.0
    total: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """The object that --json prints."""
        return {
            "text": self.text,
            "finish_reason": self.finish_reason,
            "usage": asdict(self.usage),
            "timings": {"ttft": round(self.ttft, 4), "total": round(self.total, 4)},
        }

    def summary(self) -> str:
        """One line on what it cost."""
        usage, seconds = self.usage, self.total - self.ttft
        speed = f", {(usage.completion_tokens - 1) / seconds:.1f} tokens/s" if seconds > 0 else ""
        return (
            f"{usage.prompt_tokens} prompt tokens, first token after {self.ttft:.2f} s, "
            f"{usage.completion_tokens} tokens{speed}, ended by {self.finish_reason}"
        )


async def follow(events: AsyncIterator[TextEvent], answer: Answer, *, show: bool) -> None:
    """Fills `answer` from the events, and writes the text to stdout as it comes if `show`."""
    begin = time.perf_counter()
    try:
        async for event in events:
            answer.total = time.perf_counter() - begin
            answer.ttft = answer.ttft or answer.total
            answer.text += event.text
            answer.finish_reason = event.finish_reason or answer.finish_reason
            answer.usage = event.usage or answer.usage
            if show:
                sys.stdout.write(event.text)
                sys.stdout.flush()
    finally:
        if show:
            sys.stdout.write("\n")
            sys.stdout.flush()
