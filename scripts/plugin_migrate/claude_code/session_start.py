"""What a session is told, at its start and later: one line about what needs attention.

At the start a killed command's files are put in place as well.

Runs no migration and applies none. It finishes only redo logs that were written where they stand
(``Log.is_native``): a log that came with a cloned repository waits for a command of the user's.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from collections.abc import Iterable, Iterator, Mapping

from .. import plain_yaml
from ..errors import BadConfig, Busy, InterruptedWriter, MigrateError
from ..sources.attention import Attention, attention_of
from ..sources.shipped import shipping_plugins, workspace_of
from ..workspace import Workspace, locate, nearest_project
from .told import Note

_START = "SessionStart"
# Which events' hooks the client lets speak to Claude, and name files to watch (2.1.330, 2.1.332).
_WITH_CONTEXT = frozenset({_START, "UserPromptSubmit"})
_WITH_FILES = frozenset({_START, "CwdChanged"})
_LONGEST_REASON = 200


def main() -> str | None:
    """Return the document that tells Claude Code what needs attention; ``None`` when nothing does.

    The client describes the event on standard input.

    Raises:
        Exception: whatever went wrong; nobody is told.
    """
    event = json.load(sys.stdin)
    name, session = str(event["hook_event_name"]), str(event["session_id"])
    project = nearest_project(os.environ)
    note = Note(project, session, os.environ)
    if name == _START:
        lines, facts = _news_for(at_start=True)
        note.keep(lines)
    elif note.is_outdated:
        lines, facts = _news_for(at_start=False)
        if not note.keep(lines):
            lines = facts = ""
    else:
        lines = facts = ""
    return _document(name, lines, facts, note.files)


def _news_for(at_start: bool) -> tuple[str, str]:
    """Return what there is to tell the user, and Claude; empty when there is nothing."""
    try:
        workspaces = tuple(sources(os.environ))
    except BadConfig as error:
        return _unusable(error)
    return _read(workspaces, at_start)


def _read(workspaces: tuple[Workspace, ...], at_start: bool) -> tuple[str, str]:
    try:
        if at_start:
            for own in dict.fromkeys(one.own or one for one in workspaces):
                _finish(own)
    except Busy:
        return "", ""  # a run is going on, and what it leaves is not known yet
    except (MigrateError, OSError):
        pass  # `status` says what is wrong
    news = (*_news(workspaces), *_of_departed(workspaces, os.environ))
    told = [one for one in news if not one.is_quiet]
    return "; ".join(map(_line, told)), ", and ".join(map(_fact, told))


def _unusable(error: BadConfig) -> tuple[str, str]:
    """Return that the project's settings cannot be used, unless PyYAML might make sense of them.

    The reason may quote the file, and that may have come with a clone: it is for the user alone.
    """
    if isinstance(error.__context__, plain_yaml.YAMLError):
        return "", ""
    from ..render.style import one_line

    reason = one_line(error.message)[:_LONGEST_REASON]
    return (
        f".claude/plugin-migrate.yaml cannot be used: {reason}. Run /plugin-migrate status",
        "this project's settings for plugin-migrate cannot be used",
    )


def sources(environment: Mapping[str, str]) -> Iterator[Workspace]:
    """Yield the project's own workspace, then one for each enabled plugin that ships migrations.

    Raises:
        MigrateError: there is no project, or its settings cannot be read.
    """
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

    from ..engine.recovery import recover
    from ..ledger.identity import who
    from ..storage.lock import run_lock
    from ..storage.unfinished import left_behind

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
    from ..engine.redo_log import logs

    left = logs(workspace)
    return bool(left) and all(log.is_native() for log in left)


def _news(workspaces: Iterable[Workspace]) -> Iterator[Attention]:
    for workspace in workspaces:
        try:
            news = attention_of(workspace)
        except InterruptedWriter as error:  # also what a kill in the middle of a commit leaves
            news = Attention(workspace.source, problem=error.message)
        except Exception:  # noqa: S112 - `status` says what is wrong
            continue
        yield news


def _of_departed(
    workspaces: tuple[Workspace, ...], environment: Mapping[str, str]
) -> Iterator[Attention]:
    """Yield what plugins that went away have left in the project."""
    own = workspaces[0]
    if not os.path.isdir(own.sources):
        return  # as in most projects
    from ..sources.attention import attention_of_departed
    from ..sources.departed import departed

    present = {plugin.name for plugin in shipping_plugins(own, environment)}
    for one in departed(own, environment, present):
        try:
            news = attention_of_departed(one)
        except Exception:  # noqa: S112 - `status` says what is wrong
            continue
        yield news


def _document(name: str, lines: str, facts: str, files: list[str]) -> str | None:
    """Return what the hook prints for the client.

    Parameters:
        name: the event's.
        lines: for the user.
        facts: for Claude.
        files: what the client is to watch.
    """
    document: dict[str, object] = {"systemMessage": f"plugin-migrate: {lines}"} if lines else {}
    special: dict[str, object] = {}
    if facts and name in _WITH_CONTEXT:
        special["additionalContext"] = (
            f"{facts[0].upper()}{facts[1:]}; plugin-migrate changes nothing of it unless the user"
            " asks for that."
        )
    if name in _WITH_FILES:
        special["watchPaths"] = files
    if special:
        document["hookSpecificOutput"] = {"hookEventName": name} | special
    return json.dumps(document) if document else None


def _line(news: Attention) -> str:
    """Return what the user reads: ``2 pending migrations (current version 1.0.0). Run ...``."""
    whose = f"{news.source}: " if news.source else ""
    if news.departed is not None:
        return f"{whose}{_departed(news)}. {_slash(news.departed.way_out)}"
    option = f" --plugin {news.source}" if news.source else ""
    advice = f". Run /plugin-migrate {news.way_out}{option}" if news.way_out else ""
    if news.problem is not None:
        return f"{whose}{news.problem}{advice}"
    return f"{whose}{_counts(news)} (current version {news.current or 'none'}){advice}"


def _fact(news: Attention) -> str:
    whose = f"the state of the plugin {news.source}" if news.source else "this project's .claude/"
    if news.departed is not None:  # before the problem, which may quote what a clone says
        return f"{whose} is left: {_departed(news)}"
    if news.problem is not None:
        return f"{whose} cannot be read: {news.problem}"
    return f"{whose} has {_counts(news)} (current version {news.current or 'none'})"


def _departed(news: Attention) -> str:
    assert news.departed is not None
    # Not the problem itself: it may quote what a cloned repository says, and Claude reads this.
    what = "state that cannot be read" if news.problem else f"state at version {news.current}"
    return f"{what}, and the plugin {news.departed.absence.sentence}"


def _slash(advice: str) -> str:
    """Return advice with our calls as they are typed in a session."""
    return advice.replace("plugin-migrate ", "/plugin-migrate ")


def _counts(news: Attention) -> str:
    counts = (
        _count(news.interrupted, "interrupted {}"),
        _count(news.modified, "applied {} edited since"),
        _count(news.ahead, "applied {} newer than every file"),
        _count(news.taken, "applied {} whose files git took back"),
        _count(news.pending, "pending {}"),
        _count(news.refused, "{} refused for the file's name"),
    )
    return ", ".join(filter(None, counts))


def _count(number: int, what: str) -> str:
    noun = "migration" if number == 1 else "migrations"
    return f"{number} {what.format(noun)}" if number else ""
