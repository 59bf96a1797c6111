"""Who runs a command, as the ledger remembers it."""

from __future__ import annotations

import os
from collections.abc import Mapping


def who(environment: Mapping[str, str]) -> str:
    """Return the OS user, and that it was in a Claude Code session.

    Parameters:
        environment: the process's; Claude Code sets ``CLAUDECODE`` for what it runs.
    """
    name = user()
    return f"{name} (Claude Code)" if environment.get("CLAUDECODE") else name


def user() -> str:
    """Return the OS user's name."""
    try:
        import pwd

        return pwd.getpwuid(os.getuid()).pw_name
    except (ImportError, KeyError):
        # A container often runs as a number without a name.
        return str(os.getuid())
