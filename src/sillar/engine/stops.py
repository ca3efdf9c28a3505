"""Looks for stop strings in text that arrives in pieces; holds back what might be the start of one."""

from __future__ import annotations

from collections.abc import Sequence


class StopMatcher:
    """Feeds on decoded text. After a match nothing more comes out."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._longest = max(map(len, self._stops), default=0)
        self._held = ""
        self.matched = False

    def push(self, text: str) -> str:
        """The text that is certain not to belong to a stop string, in order."""
        if not self._stops or self.matched:
            return "" if self.matched else text
        self._held += text
        found = [at for stop in self._stops if (at := self._held.find(stop)) >= 0]
        if found:
            self.matched = True
            out, self._held = self._held[: min(found)], ""
            return out
        keep = self._suspicious()
        out = self._held[: len(self._held) - keep]
        self._held = self._held[len(out) :]
        return out

    def flush(self) -> str:
        """What was held back, when the text is over."""
        out, self._held = self._held, ""
        return out

    def _suspicious(self) -> int:
        """Length of the longest end of the text that a stop string begins with."""
        for size in range(min(self._longest - 1, len(self._held)), 0, -1):
            end = self._held[-size:]
            if any(stop.startswith(end) for stop in self._stops):
                return size
        return 0
