"""What another tool's ledger says, in the one form that mapping works on."""

from __future__ import annotations

from ..values import NamedTuple

# Nobody has that many migrations; a ledger that has was made to take memory.
MOST_RECORDS = 100_000
LONGEST_TEXT = 1_000
_LONGEST_NUMBER = 20
_LONGEST_SHOWN = 80


class Record(NamedTuple):
    """One migration that another tool has applied.

    ``text`` is what its ledger calls it, and ``name`` what of that names the migration. ``place``
    is set where a ledger names nothing, and only its order counts: 1 is the first.
    """

    text: str
    name: str
    place: int | None = None

    @property
    def number(self) -> int | None:
        """The number that the name is; ``None`` when it is more than that."""
        return number_of(self.name)


class Recorded(NamedTuple):
    """Everything that a ledger says is applied.

    ``is_last``: its one record is the newest that is applied, and all before it are applied too.
    """

    records: tuple[Record, ...] = ()
    is_last: bool = False


def number_of(text: str) -> int | None:
    """Return the number that ``text`` is: digits and nothing else."""
    is_number = text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER
    return int(text) if is_number else None


def quotable(text: str) -> str:
    """Return a name that somebody else chose as a sentence may carry it: one line, not too long."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_SHOWN else f"{line[: _LONGEST_SHOWN - 1]}…"


def plain_record(text: str) -> Record:
    """Return the record of a ledger that has nothing but a name or number."""
    return Record(text, text)
