"""Lines over logarithmic axes, as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _HEIGHT = 400, 330
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 128, 34, 40
_COLUMNS = 2
# Readable on white and on black.
_COLORS = (
    "#888888", "#b58900", "#6c71c4", "#2aa198", "#859900", "#cb4b16", "#d33682", "#268bd2",
    "#9e6b4a", "#4f9d69",
)  # fmt: skip
_OURS = "#dc322f"
_LINE_HEIGHT = 13


@dataclass(frozen=True)
class Panel:
    """One diagram: a title, and each line's points by its name."""

    title: str
    lines: dict[str, list[tuple[float, float]]]


def draw(panels: Sequence[Panel], x_unit: str, y_unit: str, emphasized: str) -> str:
    """Return the panels as one SVG document; one line is drawn thicker."""
    names = [name for panel in panels for name in panel.lines if name != emphasized]
    colors = dict(zip(dict.fromkeys(names), _COLORS * 3, strict=False)) | {emphasized: _OURS}
    width, height = _WIDTH * _COLUMNS, _HEIGHT * -(-len(panels) // _COLUMNS)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">',
        '<g font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for number, panel in enumerate(panels):
        row, column = divmod(number, _COLUMNS)
        parts.append(f'<g transform="translate({column * _WIDTH} {row * _HEIGHT})">')
        parts += _panel(panel, x_unit, y_unit, colors, emphasized)
        parts.append("</g>")
    return "\n".join([*parts, "</g>", "</svg>", ""])


def _panel(
    panel: Panel, x_unit: str, y_unit: str, colors: dict[str, str], emphasized: str
) -> list[str]:
    points = [point for line in panel.lines.values() for point in line]
    x_axis = _Axis([x for x, _ in points], _LEFT, _WIDTH - _RIGHT, whole=False)
    y_axis = _Axis([y for _, y in points], _HEIGHT - _BOTTOM, _TOP, whole=True)
    title = f"{escape(panel.title)}, {y_unit}"
    parts = [f'<text x="{_LEFT}" y="18" font-size="13" font-weight="bold">{title}</text>']
    for y in y_axis.ticks:
        parts.append(_line(_LEFT, y_axis(y), _WIDTH - _RIGHT, y_axis(y)))
        parts.append(_text(_LEFT - 5, y_axis(y) + 4, f"{y:g}", "end"))
    for x in sorted({x for x, _ in points}):
        parts.append(_line(x_axis(x), _TOP, x_axis(x), _HEIGHT - _BOTTOM))
        parts.append(_text(x_axis(x), _HEIGHT - _BOTTOM + 15, f"{x:,}", "middle"))
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(_text(middle, _HEIGHT - _BOTTOM + 30, x_unit, "middle"))
    ends = {}
    for name, line in sorted(panel.lines.items(), key=lambda item: item[0] == emphasized):
        path = " ".join(f"{x_axis(x):.1f},{y_axis(y):.1f}" for x, y in line)
        width = 3 if name == emphasized else 1.5
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colors[name]}"'
            f' stroke-width="{width}"/>'
        )
        parts += [
            f'<circle cx="{x_axis(x):.1f}" cy="{y_axis(y):.1f}" r="{width}" fill="{colors[name]}"/>'
            for x, y in line
        ]
        ends[name] = (x_axis(line[-1][0]), y_axis(line[-1][1]))
    parts += _names(ends, colors, emphasized)
    return parts


class _Axis:
    """From a value to its place, logarithmically."""

    def __init__(self, values: Sequence[float], start: float, end: float, whole: bool) -> None:
        low, high = (math.log10(value) for value in (min(values), max(values)))
        if whole:
            low, high = math.floor(low), math.ceil(high + 1e-9)
        self._low, self._span = low, (high - low) or 1.0
        self._start, self._end = start, end
        self.ticks = [10.0**power for power in range(math.ceil(low), math.floor(high) + 1)]

    def __call__(self, value: float) -> float:
        share = (math.log10(value) - self._low) / self._span
        return self._start + share * (self._end - self._start)


def _names(
    ends: dict[str, tuple[float, float]], colors: dict[str, str], emphasized: str
) -> list[str]:
    """Write each line's name after its end, moved apart where they would overlap."""
    parts = []
    edge = _WIDTH - _RIGHT
    ordered = sorted(ends.items(), key=lambda item: item[1][1])
    lowest = _HEIGHT - _BOTTOM - _LINE_HEIGHT * (len(ordered) - 1)
    place = -math.inf
    for number, (name, (x, y)) in enumerate(ordered):
        place = max(place + _LINE_HEIGHT, min(y, lowest + number * _LINE_HEIGHT))
        weight = ' font-weight="bold"' if name == emphasized else ""
        parts.append(
            f'<line x1="{x + 3:.1f}" y1="{y:.1f}" x2="{edge + 14}" y2="{place:.1f}"'
            f' stroke="{colors[name]}" stroke-width="0.7" stroke-dasharray="2 2"/>'
        )
        parts.append(
            f'<text x="{edge + 17}" y="{place + 4:.1f}" fill="{colors[name]}"{weight}>'
            f"{escape(name)}</text>"
        )
    return parts


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#dddddd"'
        ' stroke-width="1"/>'
    )


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="#555555">{text}</text>'
