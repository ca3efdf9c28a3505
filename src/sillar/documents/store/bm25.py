"""BM25 of given rows of an FTS5 table, as its own bm25() has it, from the words that the rows hold.

FTS5 scores what a query matches in one pass, but given rows it looks up one by one, each time with the whole
query: 20 to 70 ms for 50 rows among 10,000.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator, Mapping, Sequence

_K1, _B = 1.2, 0.75
_AVERAGES = 1
"""Where FTS5 keeps the number of rows and of tokens, in its table of data."""


def scores(
    connection: sqlite3.Connection,
    table: str,
    rows: Sequence[int],
    counts: Mapping[str, int],
    weights: Sequence[float],
) -> dict[int, float]:
    """Row -> score, for those of `rows` in which a term occurs. `counts`: each term's rows in the table.

    The format of the tables behind an FTS5 table: sqlite.org/fts5.html, "FTS5 Data Structures".
    """
    total, tokens = _averages(connection, table)
    if not total or not rows:
        return {}
    inverse = {term: _idf(total, count) for term, count in counts.items() if count}
    columns = ", ".join(f"c.c{i}" for i in range(len(weights)))
    found = connection.execute(
        f"SELECT c.id, d.sz, {columns} FROM {table}_content c JOIN {table}_docsize d ON d.id = c.id"
        f" WHERE c.id IN ({','.join('?' * len(rows))})",
        tuple(rows),
    )
    result: dict[int, float] = {}
    for row, sizes, *texts in found:
        frequencies: dict[str, float] = {}
        for text, weight in zip(texts, weights, strict=True):
            for token in text.split():
                if token in inverse:
                    frequencies[token] = frequencies.get(token, 0.0) + weight
        norm = _K1 * (1 - _B + _B * sum(_varints(sizes)) * total / tokens)
        if frequencies:
            result[int(row)] = sum(
                inverse[term] * frequency * (_K1 + 1) / (frequency + norm)
                for term, frequency in frequencies.items()
            )
    return result


def _idf(total: int, count: int) -> float:
    """Never 0, so that a word in more than half of the rows still counts a little."""
    return max(1e-6, math.log((total - count + 0.5) / (count + 0.5)))


def _averages(connection: sqlite3.Connection, table: str) -> tuple[int, int]:
    """Rows of the table, and tokens of all its columns."""
    row = connection.execute(f"SELECT block FROM {table}_data WHERE id = ?", (_AVERAGES,)).fetchone()
    numbers = list(_varints(row[0])) if row else []
    return (numbers[0], max(1, sum(numbers[1:]))) if numbers else (0, 1)


def _varints(data: bytes) -> Iterator[int]:
    """SQLite's integers: seven bits a byte, the highest says that more follow (up to 56 bits here)."""
    value = 0
    for byte in data:
        value = (value << 7) | (byte & 0x7F)
        if byte < 0x80:
            yield value
            value = 0
