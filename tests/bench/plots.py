"""Plots as SVG, small enough to read in a diff: bars with their spread, and lines on logarithmic axes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

COLOURS = ("#4c72b0", "#dd8452", "#55a868", "#c44e52", "#8172b3", "#937860")
FONT = 'font-family="system-ui, sans-serif" font-size="12" fill="#333"'
WIDTH = 720
#: Of a plot of lines: where its axes are.
LEFT, TOP, RIGHT, BOTTOM = 60, 40, 460, 330

Spread = Mapping[str, float]


def bars(title: str, unit: str, rows: Sequence[tuple[str, Spread]]) -> str:
    """A bar for each median, with a line from the lowest to the highest."""
    largest = max((spread["max"] for _, spread in rows), default=1.0) or 1.0
    scale = (WIDTH - 320) / largest
    parts = [_text(10, 20, title, "start", bold=True)]
    for index, (label, spread) in enumerate(rows):
        y, end = 36 + 26 * index, 220 + spread["median"] * scale
        parts += [
            _text(210, y + 14, label, "end"),
            f'<rect x="220" y="{y}" width="{spread["median"] * scale:.1f}" height="18" fill="{COLOURS[index % len(COLOURS)]}"/>',
            _line(220 + spread["min"] * scale, y + 9, 220 + spread["max"] * scale, y + 9, "#333"),
            _text(max(end, 220 + spread["max"] * scale) + 6, y + 14, f"{_number(spread['median'])} {unit}", "start"),
        ]
    return _svg(36 + 26 * len(rows) + 8, parts)


def lines(title: str, x_label: str, y_label: str, series: Sequence[tuple[str, Sequence[tuple[float, float]]]]) -> str:
    """A line for each series of (x, y), both more than 0, on logarithmic axes of whole decades."""
    points = [point for _, values in series for point in values]
    if not points:
        return _svg(BOTTOM, [_text(10, 20, f"{title}: nothing measured", "start", bold=True)])
    x_from, x_to = _decades([x for x, _ in points])
    y_from, y_to = _decades([y for _, y in points])

    def place(x: float, y: float) -> tuple[float, float]:
        across = (math.log10(x) - x_from) / (x_to - x_from)
        up = (math.log10(y) - y_from) / (y_to - y_from)
        return LEFT + across * (RIGHT - LEFT), BOTTOM - up * (BOTTOM - TOP)

    parts = [_text(10, 20, title, "start", bold=True), _text(LEFT, BOTTOM + 36, f"{x_label}; up: {y_label}", "start")]
    for decade in range(x_from, x_to + 1):
        x, _ = place(10.0**decade, 10.0**y_from)
        parts += [_line(x, TOP, x, BOTTOM, "#ddd"), _text(x, BOTTOM + 18, f"{10**decade:,}", "middle")]
    for decade in range(y_from, y_to + 1):
        _, y = place(10.0**x_from, 10.0**decade)
        parts += [_line(LEFT, y, RIGHT, y, "#ddd"), _text(LEFT - 6, y + 4, f"{10.0**decade:,.10g}", "end")]
    for index, (label, values) in enumerate(series):
        colour = COLOURS[index % len(COLOURS)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*value) for value in values))
        parts += [
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>',
            _line(RIGHT + 16, TOP + 8 + 20 * index, RIGHT + 40, TOP + 8 + 20 * index, colour),
            _text(RIGHT + 46, TOP + 12 + 20 * index, label, "start"),
        ]
    return _svg(BOTTOM + 50, parts)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _decades(values: Sequence[float]) -> tuple[int, int]:
    """The powers of ten that enclose all values, at least one decade."""
    first, last = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return first, max(last, first + 1)


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="1.5"/>'


def _text(x: float, y: float, text: str, anchor: str, *, bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{weight} {FONT}>{escape(text)}</text>'


def _svg(height: int, parts: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">'
    return "\n".join((head, f'<rect width="{WIDTH}" height="{height}" fill="white"/>', *parts, "</svg>\n"))
