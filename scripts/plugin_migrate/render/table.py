"""Tables that fit the reader's screen: tabulate draws them, of texts that are fitted before.

What gives way, one after the other: the blanks after headers; columns, in an order of the
caller's, so that the texts that people read keep room; the ends of those texts; and where that is
too little, the table itself, for a list.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from .style import Style, clip, columns_of, one_line

_BORDERS = 3  # of a cell: a line and a blank on each side of the text; one more line at the end
_BLANKS = 2  # after a header, where there is room: tabulate's MIN_PADDING
_NARROWEST_TABLE = 50  # columns; a list is easier to read in less
_ENOUGH = 20  # columns of text for which other columns give way
_TOO_LITTLE = 12

Colors = Mapping[str, Mapping[str, str]]


def table_text(
    headers: Sequence[str],
    rows: Sequence[Sequence[str]],
    style: Style,
    text: str | None = None,
    first_to_go: Sequence[str] = (),
    colors: Colors | None = None,
) -> str:
    """Return a box-drawn table that fits ``style.width``, or a list where no table does.

    Cells become one printable line each.

    Parameters:
        text: the header of the column that people read; it gets what room there is.
        first_to_go: headers of columns that can be left out, in this order.
        colors: by header, the colours of some texts.
    """
    lines = [[one_line(cell) for cell in row] for row in rows]
    table = _Table(list(headers), lines, style, text, colors or {})
    return table.fitted(first_to_go)


class _Table:
    def __init__(
        self,
        headers: list[str],
        rows: list[list[str]],
        style: Style,
        text: str | None,
        colors: Colors,
    ) -> None:
        self.headers = headers
        self.rows = rows
        self.style = style
        self.text = text
        self.colors = colors
        self.widths = {
            header: max([len(header), *(columns_of(row[number]) for row in rows)])
            for number, header in enumerate(headers)
        }

    def fitted(self, first_to_go: Sequence[str]) -> str:
        width = self.style.width
        if width is None:
            return self.drawn(self.headers, _BLANKS)
        shown = list(self.headers)
        if self._needed(shown, _BLANKS) <= width:
            return self.drawn(shown, _BLANKS)
        wanted = 0
        if self.text is not None:
            wanted = min(self.widths[self.text], max(_ENOUGH, len(self.text)))
        for header in first_to_go:
            if self._room(shown, width) >= wanted:
                break
            shown.remove(header)
        room = self._room(shown, width)
        if width < _NARROWEST_TABLE or room < min(wanted, max(_TOO_LITTLE, len(self.text or ""))):
            return self.listed(width)
        return self.drawn(shown, 0, room)

    def _needed(self, shown: Sequence[str], blanks: int) -> int:
        return 1 + sum(max(self.widths[one], len(one) + blanks) + _BORDERS for one in shown)

    def _room(self, shown: Sequence[str], width: int) -> int:
        """Return what is left for the text; below zero when the others alone are too wide."""
        others = [header for header in shown if header != self.text]
        return width - self._needed(others, 0) - (_BORDERS if self.text else 0)

    def drawn(self, shown: Sequence[str], blanks: int, room: int | None = None) -> str:
        """Return the table of some columns, with the text clipped to ``room`` columns."""
        import tabulate

        numbers = [self.headers.index(header) for header in shown]
        cells = [
            [self._cell(self.headers[number], row[number], room) for number in numbers]
            for row in self.rows
        ]
        # Switches of tabulate's. Only texts that need it are measured in columns, by wcwidth.
        tabulate.WIDE_CHARS_MODE = not all(cell.isascii() for row in self.rows for cell in row)
        tabulate.MIN_PADDING = blanks
        outline = tabulate.TableFormat(
            lineabove=tabulate.Line("┌", "─", "┬", "┐"),
            linebelowheader=tabulate.Line("├", "─", "┼", "┤"),
            linebetweenrows=None,
            linebelow=tabulate.Line("└", "─", "┴", "┘"),
            headerrow=tabulate.DataRow("│", "│", "│"),
            datarow=tabulate.DataRow("│", "│", "│"),
            padding=1,
            with_header_hide=None,
        )
        return tabulate.tabulate(cells, headers=shown, tablefmt=outline, disable_numparse=True)

    def _cell(self, header: str, cell: str, room: int | None) -> str:
        if header == self.text and room is not None:
            cell = clip(cell, room)
        color = self.colors.get(header, {}).get(cell)
        return self.style.paint(color, cell) if color else cell

    def listed(self, width: int) -> str:
        """Return a line for each row, with its other cells below."""
        return "\n".join(line for row in self.rows for line in self._listed_row(row, width))

    def _listed_row(self, row: Sequence[str], width: int) -> Iterator[str]:
        cells = dict(zip(self.headers, row, strict=True))
        title = cells.pop(self.headers[0])
        if self.text is not None:
            title += "  " + cells.pop(self.text)
        yield clip(title, width)
        line, taken = "", 0
        for header, cell in cells.items():
            if cell == "-":
                continue
            item = clip(f"{header}: {cell}", width - 2)
            if line and taken + 2 + columns_of(item) > width:
                yield line
                line, taken = "", 0
            line += ", " if line else "  "
            taken += 2 + columns_of(item)
            color = self.colors.get(header, {}).get(cell)
            line += f"{header}: {self.style.paint(color, cell)}" if color else item
        if line:
            yield line
