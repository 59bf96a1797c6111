"""Draws what a terminal shows as an SVG that needs no font and no script of its own."""

import re
from collections.abc import Iterator
from html import escape
from itertools import groupby
from typing import NamedTuple

CELL, LINE, SIZE = 8.4, 18, 14  # pixels: a cell's width, a line's height, the font's size
MARGIN, BAR = 16, 36
FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
BACKGROUND, FOREGROUND = "#1b1f27", "#d7dae0"
COLORS = {"31": "#f47067", "32": "#6bc46d", "33": "#d9b44a"}
INTENSITIES = {"1": ' font-weight="bold"', "2": ' opacity="0.65"'}
LIGHTS = ("#f47067", "#d9b44a", "#6bc46d")


class Look(NamedTuple):
    """How a character looks: the SGR numbers of its colour and intensity, empty if it has none."""

    color: str = ""
    intensity: str = ""

    def after(self, numbers: str) -> "Look":
        """Return the look after an SGR sequence; one that is not known here is a mistake."""
        look = self
        for number in numbers.split(";") if numbers else ["0"]:
            if number == "0":
                look = Look()
            elif number == "39":  # the default colour
                look = look._replace(color="")
            elif number in INTENSITIES:
                look = look._replace(intensity=number)
            elif number != "49":  # the default background: there is no other
                assert number in COLORS, number
                look = look._replace(color=number)
        return look

    def attributes(self) -> str:
        color = COLORS.get(self.color, FOREGROUND)
        return f' fill="{color}"{INTENSITIES.get(self.intensity, "")}'


def svg(screen: str, columns: int, title: str) -> str:
    """Return a picture of `screen`, whose lines carry SGR sequences; every character is a cell."""
    lines = screen.rstrip("\n").split("\n")
    width = round(2 * MARGIN + columns * CELL)
    height = BAR + len(lines) * LINE + MARGIN
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="{FONT}" font-size="{SIZE}">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{width}" height="{height}" rx="8" fill="{BACKGROUND}"/>',
        *(
            f'<circle cx="{MARGIN + 6 + 20 * number}" cy="18" r="6" fill="{light}"/>'
            for number, light in enumerate(LIGHTS)
        ),
    ]
    for number, line in enumerate(_looks(lines)):
        y = BAR + LINE * number + SIZE
        parts += [_text(start, text, look, y) for start, text, look in _runs(line)]
    return "\n".join([*parts, "</svg>\n"])


def _looks(lines: list[str]) -> Iterator[list[tuple[str, Look]]]:
    """Yield each line's characters with their looks, which last beyond the end of a line."""
    look = Look()
    for line in lines:
        characters = []
        for numbers, character in re.findall(r"\x1b\[([\d;]*)m|([^\x1b])", line):
            if character:
                characters.append((character, look))
            else:
                look = look.after(numbers)
        yield characters


def _runs(line: list[tuple[str, Look]]) -> Iterator[tuple[int, str, Look]]:
    """Yield where each run of one look starts, and its text, without blanks at its ends."""
    for look, group in groupby(enumerate(line), key=lambda item: item[1][1]):
        cells = [(column, character) for column, (character, _) in group]
        text = "".join(character for _, character in cells)
        if text.strip():
            yield cells[0][0] + len(text) - len(text.lstrip()), text.strip(), look


def _text(column: int, text: str, look: Look, y: int) -> str:
    x = MARGIN + column * CELL
    # Whatever font is found, each character gets its cell.
    length = f'textLength="{len(text) * CELL:.1f}" lengthAdjust="spacingAndGlyphs"'
    return (
        f'<text x="{x:.1f}" y="{y}" {length} xml:space="preserve"{look.attributes()}>'
        f"{escape(text)}</text>"
    )
