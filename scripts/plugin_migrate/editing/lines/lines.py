"""The lines of a file, one after the other, each of which can be changed while it is looked at."""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from typing import Any

from ...errors import StateUnreadable
from .. import damage
from ..files import missing
from .json_line import JsonLine, JsonStyle, NotJson
from .rewriting import Rewriting

_BLOCK = 1 << 18
_LITTLE = 1 << 16  # less than this is not worth a system call of its own
_LEARNED = 1 << 16  # as much of the first line as tells the habits of the file
_ENCODING = ("utf-8", "surrogateescape")
_ONCE = (
    "the lines of a file are read once, from the front: do all in one loop, or open the file again"
)
_PASSED = "this line has been passed: change a line before the loop goes on to the next one"


class Line:
    """One line of a file, for as long as the loop is at it.

    ``text`` is the line without its end, and ``value`` what it says as JSON; both can be assigned,
    and a value also changed in place.
    """

    __slots__ = (
        "_after",
        "_before",
        "_is_passed",
        "_is_removed",
        "_is_set",
        "_json",
        "_lines",
        "_raw",
        "_text",
        "at",
    )

    def __init__(self, lines: Lines, at: int, raw: bytes) -> None:
        self.at = at
        self._lines = lines
        self._raw = raw
        self._text: str | None = None
        self._json: JsonLine | None = None
        self._is_set = False
        self._is_removed = False
        self._is_passed = False
        self._before: list[str] = []
        self._after: list[str] = []

    @property
    def text(self) -> str:
        """The line as it is now, without its end; bytes that are no UTF-8 are lone surrogates."""
        if self._json is not None:
            return self._json.written()
        if self._text is None:
            self._text = self._raw[: len(self._raw) - len(self.ending)].decode(*_ENCODING)
        return self._text

    @text.setter
    def text(self, text: str) -> None:
        self._require_open()
        self._text, self._json, self._is_set = _checked(text), None, True

    @property
    def value(self) -> Any:
        """What the line says as JSON: mappings are `EditableDict`, which has ``rename``.

        Raises:
            StateUnreadable: it is not one JSON value, or has a key twice.
        """
        return self._read().value

    @value.setter
    def value(self, value: Any) -> None:
        self._read().value = value

    def remove(self) -> None:
        """Remove the line with its end."""
        self._require_open()
        self._is_removed = True

    def insert_before(self, line: object) -> None:
        """Add a line above this one: a string as it is, everything else as JSON."""
        self._require_open()
        self._before.append(self._lines.text_of(line))

    def insert_after(self, line: object) -> None:
        """Add a line below this one: a string as it is, everything else as JSON."""
        self._require_open()
        self._after.append(self._lines.text_of(line))

    @property
    def ending(self) -> bytes:
        """The bytes that end the line; none at the end of a file without a last line end."""
        if self._raw.endswith(b"\r\n"):
            return b"\r\n"
        return b"\n" if self._raw.endswith(b"\n") else b""

    @property
    def end(self) -> int:
        """The offset of the next line in the file."""
        return self.at + len(self._raw)

    def settle(self) -> bytes | None:
        """Return what stands in the line's place, as the loop goes on; ``None`` if it stays."""
        self._is_passed = True
        is_touched = self._is_set or self._json is not None or self._is_removed
        if not (is_touched or self._before or self._after):
            return None
        usual = self.ending or self._lines.ending
        own = [] if self._is_removed else [self.text]
        rows = [row.encode(*_ENCODING) + usual for row in (*self._before, *own, *self._after)]
        changed = b"".join(rows)
        # The end that the last line of a file does not have, the file loses when it is finished.
        return None if changed == self._raw + (b"" if self.ending else usual) else changed

    def _read(self) -> JsonLine:
        self._require_open()
        if self._json is None:
            try:
                self._json = self._lines.json.read(self.text)
            except NotJson as error:
                raise self._lines.not_json(self, str(error)) from None
        return self._json

    def _require_open(self) -> None:
        if self._is_passed:
            raise RuntimeError(_PASSED)


class Lines:
    """The lines of a file: loop over them once, change what should change, and add to them.

    What the loop does not come to stays as it is, and so does every byte of an unchanged line.
    """

    def __init__(self, file: FileIO, path: str, shown: str) -> None:
        self._file = file
        self._path = path
        self._shown = shown
        self._new = Rewriting(file, path, shown)
        self._block = bytearray(_BLOCK)
        self._at = 0  # where the block begins in the file
        self._until = 0  # and where ends what is read of it
        self._kept = 0  # from where in the file nothing is written yet
        self._held: list[Line] = []
        self._appended: list[str] = []
        self._is_read = False
        self.json = JsonStyle()
        first = self._file.read(_LEARNED).partition(b"\n")
        damage.refuse_utf_16(first[0][:4].decode(*_ENCODING), shown)
        self.ending = b"\r\n" if first[0].endswith(b"\r") and first[1] else b"\n"
        self._learn(first[0])
        self._file.seek(0)

    def __iter__(self) -> Iterator[Line]:
        """Go through all lines."""
        return self._each(None)

    def containing(self, text: str) -> Iterator[Line]:
        """Go through those lines only that hold ``text``, and pass over the others at once.

        That costs not much more than copying the file; a loop over all of its lines does.

        Raises:
            ValueError: the text is empty, or holds a line end.
        """
        return self._each(text)

    def append(self, line: object) -> None:
        """Add a line at the end: a string as it is, everything else as JSON in the file's style.

        Raises:
            TypeError: it is something that JSON cannot hold.
            ValueError: it holds a line end, NaN or an infinity.
        """
        self._appended.append(self.text_of(line))

    # --- for whoever hands the lines out ---------------------------------------------------------

    def batches(self, wanted: str | None) -> Iterator[list[Line]]:
        """Yield lines many at a time; each batch can be changed until the next one is asked for.

        Parameters:
            wanted: the text that the lines hold; ``None`` for all lines.
        """
        for spans in self._blocks(wanted):
            batch = [self._hand_out(start, end) for start, end in spans]
            if batch:
                yield batch

    def text_of(self, line: object) -> str:
        """Return the text of a line that is added."""
        return _checked(line) if isinstance(line, str) else self.json.write(line)

    def not_json(self, line: Line, why: str) -> StateUnreadable:
        """Return the error for a line that is not JSON."""
        number = self._number(line.at)
        damage.refuse_marker(line.text, self._shown, number)
        return StateUnreadable(
            f"{self._shown} cannot be read as JSON in line {number}: {why}",
            hint="Mend that line, or let the migration pass over it, and run the command again.",
            file=self._shown,
            line=number,
        )

    def finish(self) -> None:
        """Write what has changed, and all else as it is."""
        self._settle()
        if self._appended and not self._new.has_begun:
            self._new.begin()
        if self._new.has_begun:
            size = self._file.seek(0, 2)
            self._keep(size)
            for text in self._appended:
                self._write(text.encode(*_ENCODING) + self.ending)
            if self._is_open_ended(size):
                self._new.drop_last_end()
            self._new.finish()

    def discard(self) -> None:
        """Leave the file as it is, unless `finish` was called."""
        self._new.discard()

    # --- the pass --------------------------------------------------------------------------------

    def _each(self, wanted: str | None) -> Iterator[Line]:
        for spans in self._blocks(wanted):
            for start, end in spans:
                self._settle()
                yield self._hand_out(start, end)

    def _blocks(self, wanted: str | None) -> Iterator[Iterator[tuple[int, int]]]:
        """Yield, for each block of whole lines, where in it the wanted lines begin and end."""
        if self._is_read:
            raise RuntimeError(_ONCE)
        if wanted == "":
            raise ValueError("the text to look for is empty")
        self._is_read = True
        sought = _checked(wanted or "").encode(*_ENCODING)
        filled = 0
        is_last = False
        while not is_last:
            size = self._file.readinto(memoryview(self._block)[filled:])
            filled += size or 0
            self._until = self._at + filled
            is_last = not size
            end = filled if is_last else self._block.rfind(b"\n", 0, filled) + 1
            if end:
                first = len(BOM_UTF8) if not self._at and self._block.startswith(BOM_UTF8) else 0
                yield _spans(self._block, sought, first, end)
                self._settle()
                # What is left of the last line begins the next block.
                self._block[: filled - end] = self._block[end:filled]
                self._at += end
                filled -= end
            elif filled == len(self._block):
                self._block += bytes(filled)

    def _hand_out(self, start: int, end: int) -> Line:
        line = Line(self, self._at + start, bytes(memoryview(self._block)[start:end]))
        self._held.append(line)
        return line

    def _settle(self) -> None:
        """Write the lines that were handed out, if they have changed."""
        held, self._held = self._held, []
        for line in held:
            changed = line.settle()
            if changed is not None:
                if not self._new.has_begun:
                    self._new.begin()
                self._keep(line.at)
                self._write(changed)
                self._kept = line.end

    def _keep(self, end: int) -> None:
        """Keep what stands in the file up to ``end``."""
        start, self._kept = self._kept, end
        if start >= self._at and end <= self._until and end - start < _LITTLE:
            self._write(bytes(memoryview(self._block)[start - self._at : end - self._at]))
        elif start < end:
            if self._new.is_open_ended:
                self._new.write(self.ending)
            self._new.copy(start, end)

    def _write(self, content: bytes) -> None:
        if content:
            if self._new.is_open_ended:
                self._new.write(self.ending)
            self._new.write(content)

    def _is_open_ended(self, size: int) -> bool:
        """Tell whether the file's last line has no end."""
        mark = self._file.seek(max(0, size - len(BOM_UTF8)))
        last = self._file.read()
        return bool(last) and not last.endswith(b"\n") and not (mark == 0 and last == BOM_UTF8)

    def _learn(self, first: bytes) -> None:
        """Learn from the first line how the file writes JSON, if it does."""
        try:
            self.json.read(first.removeprefix(BOM_UTF8).decode(*_ENCODING).rstrip("\r"))
        except NotJson:
            pass

    def _number(self, at: int) -> int:
        """Return the number of the line that begins at an offset."""
        with open(self._path, "rb") as file:
            number = 1
            while at and (piece := file.read(min(at, _BLOCK))):
                number += piece.count(b"\n")
                at -= len(piece)
        return number


@contextmanager
def editing(path: str, shown: str) -> Iterator[Lines]:
    """Open a file of lines; see `lines.edit`."""
    try:
        file = FileIO(path)
    except FileNotFoundError:
        raise missing(shown) from None
    with file:
        lines = Lines(file, path, shown)
        try:
            yield lines
            lines.finish()
        finally:
            lines.discard()


def _spans(block: bytearray, wanted: bytes, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Yield begin and end of each line of a block that holds ``wanted``, which may be nothing."""
    while start < stop:
        if wanted:
            found = block.find(wanted, start, stop)
            if found < 0:
                return
            start = max(start, block.rfind(b"\n", start, found) + 1)
        end = block.find(b"\n", start, stop) + 1 or stop
        yield start, end
        start = end


def _checked(text: str) -> str:
    """Return the text of one line.

    Raises:
        ValueError: it holds a line end.
    """
    if "\n" in text or text.endswith("\r"):
        raise ValueError("a line cannot hold a line end: add each line by itself")
    return text
