"""The list of what does not run under Windows names tests that exist."""

from pathlib import Path

import pytest

from windows.posix_only import POSIX_ONLY, reason_for

TESTS = Path(__file__).parents[1]
NAMES = [name for names in POSIX_ONLY.values() for name in names]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_left_out_under_windows_exists(name):
    file, _, test = name.partition("[")[0].partition("::")
    assert (TESTS / file).exists()
    assert not test or f"def {test}(" in (TESTS / file).read_text(encoding="utf-8")


def test_nothing_is_listed_twice():
    assert len(NAMES) == len(set(NAMES))


def test_a_name_covers_what_is_below_it():
    assert reason_for("crash/test_crash.py::test_x[a/b::c]") == reason_for("crash")
    assert reason_for("cli/test_output.py::test_x") is not None
    assert reason_for("cli/test_status.py") is None
    assert reason_for("crash_free/test_x.py") is None
