"""Versions are strictly X.Y.Z and order as `packaging` orders them."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from packaging.version import Version as Packaging

from plugin_migrate.errors import InvalidVersion
from plugin_migrate.version import Version

NUMBERS = st.integers(0, 999_999_999)
VERSIONS = st.builds(Version, NUMBERS, NUMBERS, NUMBERS)
NEAR = st.builds(Version, *[st.integers(0, 11)] * 3)


@given(st.lists(NEAR | VERSIONS))
def test_they_sort_as_packaging_sorts(versions):
    assert sorted(versions) == sorted(versions, key=lambda version: Packaging(str(version)))


@given(NEAR, NEAR)
def test_they_compare_as_packaging_compares(one, two):
    ours, theirs = (one, two), (Packaging(str(one)), Packaging(str(two)))
    assert (ours[0] < ours[1]) == (theirs[0] < theirs[1])
    assert (ours[0] == ours[1]) == (theirs[0] == theirs[1])


@given(VERSIONS)
def test_the_text_is_read_back(version):
    assert Version.parse(str(version)) == version


@given(st.text())
@example("1.2.3\n")
@example(" 1.2.3")
@example("١.٢.٣")
@example("1.2.3" + "0" * 20)
@example("01.2.3")
def test_what_is_read_is_spelled_the_same(text):
    try:
        version = Version.parse(text)
    except InvalidVersion:
        return
    assert str(version) == text


def test_numbers_order_as_numbers():
    assert Version.parse("1.9.0") < Version.parse("1.10.0")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("1.a.0", None),
        ("", None),
        ("one", None),
        ("1.2.3.4", None),
        ("1.2.3+build", None),
        ("1!2.3.4", None),
        ("1.2.-3", None),
        ("1.2.3.0", "1.2.3"),
        ("1.2", "1.2.0"),
        ("1", "1.0.0"),
        ("v1.2.0", "1.2.0"),
        ("V1.2", "1.2.0"),
        ("1.02.0", "1.2.0"),
        (" 1.2.0 ", "1.2.0"),
    ],
)
def test_what_was_probably_meant_is_suggested(text, meant):
    with pytest.raises(InvalidVersion) as caught:
        Version.parse(text)
    assert caught.value.message == f"Invalid version format: '{text}'"
    suggestion = f"\nDid you mean {meant}?" if meant else ""
    assert caught.value.hint == "Expected semantic version: X.Y.Z" + suggestion


@pytest.mark.parametrize("text", ["1.2.3-rc1", "1.2.3-alpha.1", "1.2.3-b.2", "1.2.3-RC1+7"])
def test_a_prerelease_is_refused_in_a_sentence(text):
    with pytest.raises(InvalidVersion) as caught:
        Version.parse(text)
    assert caught.value.hint == (
        "Expected semantic version: X.Y.Z\n"
        "Pre-releases are not versions here: each migration has an X.Y.Z of its own"
    )


@pytest.mark.parametrize("text", ["9" * 5000 + ".0.0", "0.0.1234567890", "0" * 5000, "1.0.0\n"])
def test_endless_numbers_are_refused_and_no_bug(text):
    with pytest.raises(InvalidVersion, match="Invalid version format"):
        Version.parse(text)


@given(NEAR)
def test_the_next_version_resets_what_is_below(version):
    major, minor, patch = version
    assert version.bump("major") == (major + 1, 0, 0)
    assert version.bump("minor") == (major, minor + 1, 0)
    assert version.bump("patch") == (major, minor, patch + 1)
