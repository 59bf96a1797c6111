"""argparse as we use it; imported only for command lines that `outline.py` leaves to it."""

from __future__ import annotations

import argparse
import os
from argparse import SUPPRESS

from .errors import UsageError

__all__ = ["SUPPRESS", "Help", "Parser"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """Reports wrong usage as one of our errors, so that it can be JSON too."""

    def error(self, message: str) -> NoReturn:
        """Raise the error."""
        raise UsageError(message[:1].upper() + message[1:], hint=f"See: {self.prog} --help")


class Help(argparse.RawDescriptionHelpFormatter):
    """Help as wide as the terminal; argparse itself would import shutil, bz2 and lzma for that."""

    def __init__(self, prog: str) -> None:
        try:
            columns = os.get_terminal_size(1).columns
        except OSError:
            columns = 80
        super().__init__(prog, width=max(columns - 2, 40))
