"""What tests make on POSIX to see how it is treated, and cannot make here: they are skipped.

Named pipes there are none in folders; links need a privilege, or developer mode, and Wine has none.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


class NoLinks(OSError):
    """No link can be made here."""


def install() -> None:
    """Have the calls that make such things tell that the test is to be skipped."""
    os.mkfifo = _none("named pipes in folders")  # type: ignore[assignment]
    os.symlink = _trying(os.symlink, 1)
    Path.symlink_to = _trying(Path.symlink_to, 0)  # type: ignore[method-assign]


def _none(what: str) -> Callable[..., Any]:
    def skip(*arguments: object, **options: object) -> None:
        pytest.skip(f"Windows has no {what}")

    return skip


def _trying(make: Callable[..., Any], at: int) -> Callable[..., Any]:
    def make_or_fail(*arguments: object, **options: object) -> None:
        try:
            make(*arguments, **options)
        except OSError as error:
            raise NoLinks(error.errno, error.strerror) from None
        if not os.path.islink(str(arguments[at])):  # Wine says that it has made it
            raise NoLinks(errno.EPERM, "not made")

    return make_or_fail
