"""What a session begins with: a killed command's files are put in place, and one line is told.

Runs no migration and applies none. It finishes only redo logs that were written where they stand
(``Log.is_native``): a log that came with a cloned repository waits for a command of the user's.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping

from . import plain_yaml
from .errors import Busy, MigrateError
from .news import News, news_of
from .sources import shipping_plugins, workspace_of
from .workspace import Workspace, locate


def main() -> str | None:
    """Return the document that tells Claude Code what needs attention; ``None`` when nothing does.

    Raises:
        Exception: whatever went wrong; nobody is told.
    """
    workspaces = tuple(sources(os.environ))
    try:
        _finish(workspaces[0])
    except Busy:
        return None  # a run is going on, and what it leaves is not known yet
    except (MigrateError, OSError):
        pass  # `status` says what is wrong
    told = [news for news in _news(workspaces) if not news.is_quiet]
    return _document(told) if told else None


def sources(environment: Mapping[str, str]) -> Iterator[Workspace]:
    """Yield the project's own workspace, then one for each enabled plugin that ships migrations.

    Raises:
        MigrateError: there is no project, or its settings cannot be read.
    """
    plain_yaml.stand_in()
    own = locate(environment=environment)
    yield own
    for plugin in shipping_plugins(own, environment):
        try:
            workspace = workspace_of(own, plugin)
        except MigrateError:
            continue
        yield workspace


def _finish(own: Workspace) -> None:
    """Put files in place that a killed command had committed, of whichever source.

    What cannot be finished shows as interrupted.

    Raises:
        Busy: another command is running.
        MigrateError, OSError: our folder cannot be used.
    """
    if not _has_logs(own):
        return
    from contextlib import suppress

    from .identity import who
    from .lock import run_lock
    from .recovery import recover
    from .siblings import left_behind

    if not any(map(_may_finish, (own, *left_behind(own)))):
        return
    with run_lock(own, "session start", timeout=0):
        for workspace in (own, *left_behind(own)):
            if _may_finish(workspace):
                # A broken ledger of one source is no reason to leave another's files behind.
                with suppress(MigrateError, OSError, sqlite3.Error):
                    recover(workspace, who(os.environ))


def _has_logs(own: Workspace) -> bool:
    """Return whether any source has redo logs, without what it takes to read them."""
    names = os.listdir(own.sources) if os.path.isdir(own.sources) else []
    return own.has_logs or any(own._replace(source=name).has_logs for name in names)


def _may_finish(workspace: Workspace) -> bool:
    """Return whether there are redo logs, and every one was written where it stands."""
    from .redo import logs

    left = logs(workspace)
    return bool(left) and all(log.is_native() for log in left)


def _news(workspaces: Iterable[Workspace]) -> Iterator[News]:
    for workspace in workspaces:
        try:
            news = news_of(workspace)
        except Exception:  # noqa: S112 - `status` says what is wrong
            continue
        yield news


def _document(told: list[News]) -> str:
    lines = "; ".join(map(_line, told))
    facts = ", and ".join(map(_fact, told))
    return json.dumps(
        {
            "systemMessage": f"plugin-migrate: {lines}",
            "hookSpecificOutput": {
                "hookEventName": "SessionStart",
                "additionalContext": (
                    f"{facts[0].upper()}{facts[1:]}; plugin-migrate changes nothing of it unless"
                    " the user asks for that."
                ),
            },
        }
    )


def _line(news: News) -> str:
    """Return what the user reads: ``2 pending migrations (current version 1.0.0). Run ...``."""
    whose = f"{news.source}: " if news.source else ""
    option = f" --plugin {news.source}" if news.source else ""
    advice = f". Run /plugin-migrate {news.way_out}{option}" if news.way_out else ""
    return f"{whose}{_counts(news)} (current version {news.current or 'none'}){advice}"


def _fact(news: News) -> str:
    whose = f"the state of the plugin {news.source}" if news.source else "this project's .claude/"
    return f"{whose} has {_counts(news)} (current version {news.current or 'none'})"


def _counts(news: News) -> str:
    counts = (
        _count(news.interrupted, "interrupted {}"),
        _count(news.modified, "applied {} edited since"),
        _count(news.ahead, "applied {} newer than every file"),
        _count(news.pending, "pending {}"),
    )
    return ", ".join(filter(None, counts))


def _count(number: int, what: str) -> str:
    noun = "migration" if number == 1 else "migrations"
    return f"{number} {what.format(noun)}" if number else ""
