"""What the figures are measured against: each bar with its figure, reached or missed."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_ENGLISH, _SPANISH, _ACROSS = r"(?!.*-over-).*-en\b.*", r"(?!.*-over-).*-es\b.*", r".*-over-.*"
_ANY = r".*"
_SHARES: dict[str, Callable[[float, float], bool]] = {
    "at least": operator.ge, "at most": operator.le, "under": operator.lt
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of one column of a section, for the rows whose name, and model, match."""

    what: str
    section: str
    column: str
    relation: str
    bar: float
    name: str = _ANY
    model: str = _ANY


BARS = (
    Bar("recall@1, English", "retrieval", "recall@1", "at least", 0.95, _ENGLISH),
    Bar("recall@1, Spanish", "retrieval", "recall@1", "at least", 0.93, _SPANISH),
    Bar("recall@1, across languages", "retrieval", "recall@1", "at least", 0.88, _ACROSS),
    Bar(
        "recall@1, technical FAQ as an answer reads it", "faq", "recall@1", "at least", 0.70,
        "technical.*second look",
    ),
    Bar("contained, quotes, English", "quote", "contained", "at least", 0.70, _ENGLISH),
    Bar("contained, quotes, Spanish", "quote", "contained", "at least", 0.60, _SPANISH),
    Bar("contained, 135M model, English", "generated", "contained", "at least", 0.70, _ENGLISH, "default"),
    Bar("contained, 135M model, Spanish", "generated", "contained", "at least", 0.60, _SPANISH, "default"),
    Bar("contained, Qwen 1.5B, English", "generated", "contained", "at least", 0.80, _ENGLISH, ".*1.5b.*"),
    Bar("contained, Qwen 1.5B, Spanish", "generated", "contained", "at least", 0.75, _SPANISH, ".*1.5b.*"),
    Bar("citation precision, quotes", "quote", "citation_precision", "at least", 0.90),
    Bar("citation precision, models", "generated", "citation_precision", "at least", 0.90),
    Bar("unanswerable questions refused", "quote", "unanswerable_refused", "at least", 0.80),
    Bar("answerable questions refused", "quote", "abstention_rate", "at most", 0.10),
    Bar("first words, seconds p50, 135M model", "generated", "ttft_p50_s", "under", 0.6, _ANY, "default"),
    Bar("whole answer, seconds p50, 135M model", "generated", "total_p50_s", "under", 2.0, _ANY, "default"),
)  # fmt: skip


def judged(kept: Mapping[str, Any]) -> Iterator[tuple[Bar, str, float, bool]]:
    """Each bar with the set (and model), its figure and whether it is reached; what was not measured is not
    there.
    """
    for bar in BARS:
        for row in kept.get(bar.section, {}).get("sets", ()):
            named = re.fullmatch(bar.name, row["name"]) and re.fullmatch(bar.model, row.get("model", ""))
            if named and bar.column in row:
                value = float(row[bar.column])
                yield (
                    bar,
                    " ".join(filter(None, (row["name"], row.get("model")))),
                    value,
                    _SHARES[bar.relation](value, bar.bar),
                )
