"""Strict ``X.Y.Z`` versions with numeric order (``1.9.0 < 1.10.0``).

The order is `packaging`'s, which a property test holds this module to. `packaging` itself is
imported only to understand a version that was meant but not written: it costs 8 ms, which is half
of what ``status`` may take.
"""

from __future__ import annotations

import re
from collections import namedtuple

from .errors import InvalidVersion

_NUMBER = "(0|[1-9][0-9]{0,8})"
_STRICT = re.compile(rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}")


class Version(namedtuple("Version", "major minor patch")):
    """A migration's version; compares and sorts by its three numbers."""

    __slots__ = ()

    def __str__(self) -> str:
        return f"{self[0]}.{self[1]}.{self[2]}"

    @classmethod
    def parse(cls, text: str) -> Version:
        """Return the version that ``text`` spells.

        Raises:
            InvalidVersion: it is not three plain numbers (no ``v``, leading zeros or suffix).
        """
        match = _STRICT.fullmatch(text)
        if match is None:
            raise InvalidVersion(f"Invalid version format: '{text}'", hint=_expected(text))
        return cls(int(match[1]), int(match[2]), int(match[3]))

    def bump(self, part: str) -> Version:
        """Return the next version: ``part`` is ``major``, ``minor`` or ``patch``."""
        if part == "major":
            return Version(self.major + 1, 0, 0)
        if part == "minor":
            return Version(self.major, self.minor + 1, 0)
        return Version(self.major, self.minor, self.patch + 1)


def _expected(text: str) -> str:
    from packaging import version as pep440

    expected = "Expected semantic version: X.Y.Z"
    try:
        meant = pep440.Version(text)
    except (pep440.InvalidVersion, ValueError):
        return expected
    release = ".".join(map(str, (*meant.release, 0, 0)[:3]))
    # Equal only without a suffix: to PEP 440 even `1.a.0` is one, the first alpha of 1.
    if meant != pep440.Version(release) or release == text:
        return expected
    return f"{expected}\nDid you mean {release}?"
