"""A risk-coverage curve as a small SVG, without a plotting library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_WIDTH, _HEIGHT, _MARGIN = 640, 400, 56
_COLOURS = ("#1f6feb", "#c4432b", "#2a7d4f", "#8250df")
_STYLE = "font: 13px sans-serif; fill: #24292f"


def draw(curves: Mapping[str, Sequence[tuple[float, float]]], *, most: float = 0.3) -> str:
    """Lines of (answerable refused 0..`most`, unanswerable refused 0..1), one a name."""

    def place(x: float, y: float) -> str:
        left = _MARGIN + x / most * (_WIDTH - 2 * _MARGIN)
        return f"{left:.1f},{_HEIGHT - _MARGIN - y * (_HEIGHT - 2 * _MARGIN):.1f}"

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">',
        "<title>Unanswerable questions refused, by answerable questions refused</title>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
    ]
    for tick in range(6):
        x, y = most * tick / 5, tick / 5
        parts.append(_grid(place(0, y), place(most, y), f"{y:.1f}", -34, 4))
        parts.append(_grid(place(x, 0), place(x, 1), f"{100 * x:.0f} %", -12, 20))
    for index, (name, points) in enumerate(curves.items()):
        colour = _COLOURS[index % len(_COLOURS)]
        line = " ".join(place(x, y) for x, y in points if x <= most)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        label = _HEIGHT - _MARGIN - 20 * (len(curves) - index)
        parts.append(f'<text x="{_WIDTH - 280}" y="{label}" style="{_STYLE}; fill: {colour}">{name}</text>')
    parts.append(
        f'<text x="{_WIDTH / 2 - 90}" y="{_HEIGHT - 14}" style="{_STYLE}">answerable questions refused</text>'
    )
    parts.append(f'<text x="12" y="24" style="{_STYLE}">unanswerable questions refused</text>')
    return "\n".join([*parts, "</svg>\n"])


def _grid(start: str, end: str, label: str, dx: int, dy: int) -> str:
    x, y = start.split(",")
    points = f'x1="{x}" y1="{y}" x2="{end.split(",", maxsplit=1)[0]}" y2="{end.split(",")[1]}"'
    text = f'<text x="{float(x) + dx:.0f}" y="{float(y) + dy:.0f}" style="{_STYLE}">{label}</text>'
    return f'<line {points} stroke="#d0d7de"/>{text}'
