"""Strict ``X.Y.Z`` versions with numeric order (``1.9.0 < 1.10.0``).

The order is `packaging`'s, which a property test holds this module to. `packaging` itself is
imported only to understand a version that was meant but not written: it costs 8 ms, which is half
of what ``status`` may take.
"""

from __future__ import annotations

from functools import cache

from .errors import InvalidVersion
from .values import NamedTuple

_LARGEST = 999_999_999
# As semantic versioning and PEP 440 write them: `-alpha.1`, `-rc1`.
_PRERELEASE = r"(alpha|beta|rc|pre|preview|dev|a|b|c)\.\d+|(alpha|beta|rc)\d+"
_NO_PRERELEASES = "Pre-releases are not versions here: each migration has an X.Y.Z of its own"


class Version(NamedTuple):
    """A migration's version; compares and sorts by its three numbers."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"{self[0]}.{self[1]}.{self[2]}"

    @staticmethod
    @cache  # the ledger and the folder spell the same versions
    def parse(text: str) -> Version:
        """Return the version that ``text`` spells.

        Raises:
            InvalidVersion: it is not three plain numbers (no ``v``, leading zeros or suffix).
            TypeError: it is not text, as a value in a ledger that somebody else wrote may be.
        """
        try:
            first, second, third = str.split(text, ".")
            major, minor, patch = int(first), int(second), int(third)
        except ValueError:
            raise _invalid(text) from None
        # `int` also takes signs, spaces, underscores, leading zeros and the digits of others.
        if (
            f"{major}.{minor}.{patch}" != text
            or not -1 < major <= _LARGEST
            or not -1 < minor <= _LARGEST
            or not -1 < patch <= _LARGEST
        ):
            raise _invalid(text)
        return tuple.__new__(Version, (major, minor, patch))

    def bump(self, part: str) -> Version:
        """Return the next version: ``part`` is ``major``, ``minor`` or ``patch``."""
        if part == "major":
            return Version(self.major + 1, 0, 0)
        if part == "minor":
            return Version(self.major, self.minor + 1, 0)
        return Version(self.major, self.minor, self.patch + 1)


def _invalid(text: str) -> InvalidVersion:
    return InvalidVersion(f"Invalid version format: '{text}'", hint=_expected(text))


def _expected(text: str) -> str:
    from packaging import version as pep440

    expected = "Expected semantic version: X.Y.Z"
    if is_prerelease(text.partition("-")[2].partition("+")[0]):
        return f"{expected}\n{_NO_PRERELEASES}"
    try:
        meant = pep440.Version(text)
    except (pep440.InvalidVersion, ValueError):
        return expected
    release = ".".join(map(str, (*meant.release, 0, 0)[:3]))
    # Equal only without a suffix: to PEP 440 even `1.a.0` is one, the first alpha of 1.
    if meant != pep440.Version(release) or release == text:
        return expected
    return f"{expected}\nDid you mean {release}?"


def refuse_prerelease(version: str, slug: str) -> None:
    """Refuse a file's name whose slug is the rest of a pre-release version.

    Raises:
        InvalidVersion: it is, as in ``1.2.0-alpha.1-add-oauth``.
    """
    head = slug.partition("-")[0]
    # Almost no slug has a first word that ends in a digit.
    if head[-1:].isdigit() and is_prerelease(head):
        raise InvalidVersion(
            f"Invalid version format: '{version}-{head}'",
            hint=f"Expected semantic version: X.Y.Z\n{_NO_PRERELEASES}",
        )


def is_prerelease(word: str) -> bool:
    """Return whether a word after a version would make it a pre-release."""
    import re

    return re.fullmatch(_PRERELEASE, word, re.IGNORECASE) is not None
