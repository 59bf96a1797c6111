"""Which of our migrations another tool's ledger means; no I/O, so that it is tested with tables.

Each record is asked, in this order, and the first rule that fits decides:

1. **header**: a migration says ``from: TOOL RECORD`` in its header;
2. **version**: the record is, or begins with, the version of a migration;
3. **number**: the record is a number, and one migration's slug or ``from`` begins with it;
4. **place**: the record is a number N, or the Nth of a ledger that has no names, and means the Nth
   migration in version order; a number only where no migration has one of its own;
5. **name**: the record's words are those of a migration's slug or description.

A record that fits none, or several, and a migration that several records fit, are refused: nothing
is guessed.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from ..errors import Call, InvalidVersion, TakeoverRefused
from ..plan import Entry
from ..values import NamedTuple
from ..version import Version
from .origin import Origin
from .record import Record, Recorded, number_of, quotable

_SHOWN = 20
# What the files of other tools end with, which some ledgers keep.
_ENDINGS = re.compile(r"(\.(up|down))?\.(sql|py|go|rb|[cm]?[jt]s)$", re.IGNORECASE)
_VERSION = re.compile(r"[vV]?(\d+\.\d+\.\d+)(?![.\d])")
_LEADING_NUMBER = re.compile(r"[0-9]+(?![^\W_])")  # not the `2` of `2fa-tokens`
_NUMBER_WORD = re.compile(r"[mv]?\d+")


class Known(NamedTuple):
    """What one of our migrations is called, everywhere that another tool's name may stand.

    ``claims`` are what its header's ``from`` says: ``dbmate 20230101120000``.
    """

    version: Version
    slug: str = ""
    description: str = ""
    claims: tuple[str, ...] = ()


class Match(NamedTuple):
    """A record and the migration that it means, by which rule."""

    version: Version
    record: Record
    rule: str


def match(origin: Origin, recorded: Recorded, known: Sequence[Known]) -> tuple[Match, ...]:
    """Return which migrations the records mean, in version order.

    Parameters:
        known: every migration, in version order.

    Raises:
        TakeoverRefused: a record means none, or several; or several mean one. Names each.
    """
    finder = _Finder(origin.tool, known)
    found: dict[Version, Match] = {}
    wrong: list[str] = []
    for record in dict.fromkeys(recorded.records):
        versions, rule = finder.find(record)
        if not versions:
            wrong.append(f"'{quotable(record.text)}' fits no migration here")
        elif len(versions) > 1:
            fits = ", ".join(map(str, versions))
            wrong.append(f"'{quotable(record.text)}' fits several migrations by its {rule}: {fits}")
        elif versions[0] in found:
            other = quotable(found[versions[0]].record.text)
            wrong.append(f"'{quotable(record.text)}' and '{other}' both fit {versions[0]}")
        else:
            found[versions[0]] = Match(versions[0], record, rule)
    if wrong:
        raise _unmapped(origin, wrong, len(recorded.records))
    return tuple(found[version] for version in sorted(found))


def refuse_gaps(
    origin: Origin, recorded: Recorded, matches: Sequence[Match], entries: Iterable[Entry]
) -> None:
    """Make sure that no migration below the newest one that is recorded is left out.

    Raises:
        TakeoverRefused: names those that are.
    """
    if recorded.is_last or not matches:
        return
    newest = matches[-1].version
    taken = {one.version for one in matches}
    gaps = [
        str(entry.version)
        for entry in entries
        if entry.version < newest and entry.version not in taken and entry.applied is None
    ]
    if gaps:
        raise TakeoverRefused(
            f"By {origin.ledger}, {newest} is applied, but not {_listed(gaps)} below it",
            hint=(
                "Apply them there first; or, if the state holds them all the same, mark them: ",
                Call("baseline", str(newest)),
            ),
        )


def _unmapped(origin: Origin, wrong: Sequence[str], count: int) -> TakeoverRefused:
    details = [f"• {sentence}" for sentence in wrong[:_SHOWN]]
    if len(wrong) > _SHOWN:
        details.append(f"• and {len(wrong) - _SHOWN} more")
    return TakeoverRefused(
        f"{len(wrong)} of {count} record(s) in {origin.ledger} cannot be matched to a migration"
        " here",
        details=tuple(details),
        hint="In the header of the migration that a record means, say so:"
        f" from: {origin.tool} RECORD\nNothing was marked.",
    )


def _listed(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return ", ".join(texts[:_SHOWN]) + more


class _Finder:
    """Our migrations, to be found by what other tools may call them."""

    def __init__(self, tool: str, known: Sequence[Known]) -> None:
        self._tool = tool
        self._versions = [one.version for one in known]
        self._claimed: dict[str, list[Version]] = defaultdict(list)
        self._numbered: dict[int, list[Version]] = defaultdict(list)
        self._named: dict[str, list[Version]] = defaultdict(list)
        for one in known:
            _add(self._claimed, one.claims, one.version)
            _add(self._numbered, _numbers_of(one), one.version)
            _add(self._named, _names_of(one), one.version)

    def find(self, record: Record) -> tuple[list[Version], str]:
        """Return the versions that a record fits, and the rule by which; none by no rule."""
        claims = {f"{self._tool} {text}" for text in (record.text, record.name)}
        claimed = sorted({one for claim in claims for one in self._claimed.get(claim, ())})
        if claimed:
            return claimed, "header"
        version = _version_in(record.name)
        if version is not None and version in self._versions:
            return [version], "version"
        number = record.number
        if number is not None and self._numbered:
            return self._numbered.get(number, []), "number"
        place = number if record.place is None else record.place
        if place is not None:
            return self._versions[place - 1 : place] if place else [], "place"
        named = {one for name in _names(record.name) for one in self._named.get(name, ())}
        return sorted(named), "name"


def _add(
    found: dict[str, list[Version]] | dict[int, list[Version]],
    keys: Iterable[str] | Iterable[int],
    version: Version,
) -> None:
    for key in dict.fromkeys(keys):
        found[key].append(version)  # type: ignore[index]


def _version_in(text: str) -> Version | None:
    match = _VERSION.match(text)
    if match is None:
        return None
    try:
        return Version.parse(match[1])
    except InvalidVersion:
        return None


def _numbers_of(known: Known) -> Iterator[int]:
    """Yield the numbers that a slug, and the records in a ``from``, begin with."""
    texts = [known.slug, *(claim.partition(" ")[2] for claim in known.claims)]
    for text in texts:
        digits = _LEADING_NUMBER.match(text)
        number = number_of(digits[0]) if digits else None
        if number is not None:
            yield number


def _names_of(known: Known) -> Iterator[str]:
    for text in (known.slug, known.description):
        yield from _names(text)
    # A slug may begin with what is all that Alembic's ledger has: `ae1027a6acf-add-users`.
    first = known.slug.partition("-")[0].lower()
    if not first.isdigit() and any(char.isdigit() for char in first):
        yield first


def _names(text: str) -> Iterator[str]:
    """Yield a name's words, as one text; and without a number that they begin with."""
    plain = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", _ENDINGS.sub("", text)).casefold()
    words = re.findall(r"[^\W_]+", plain)
    if words:
        yield " ".join(words)
    if len(words) > 1 and _NUMBER_WORD.fullmatch(words[0]):
        yield " ".join(words[1:])
