"""Who runs a command, as the ledger remembers it."""

from __future__ import annotations

from collections.abc import Mapping

from ..platform import system


def who(environment: Mapping[str, str]) -> str:
    """Return the OS user, and that it was in a Claude Code session.

    Parameters:
        environment: the process's; Claude Code sets ``CLAUDECODE`` for what it runs.
    """
    name = system.user_name()
    return f"{name} (Claude Code)" if environment.get("CLAUDECODE") else name
