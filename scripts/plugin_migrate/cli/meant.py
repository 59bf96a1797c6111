"""What somebody meant who mistyped a command, an option or a choice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..errors import UsageError

# What other tools call what ours do; a mistyped word is guessed from the letters.
_ELSEWHERE = {
    "up": "upgrade",
    "migrate": "upgrade",
    "apply": "upgrade",
    "down": "downgrade",
    "revert": "downgrade",
    "undo": "downgrade",
    "generate": "create",
    "add": "create",
    "make": "create",
    "init": "create",
    "log": "history",
    "list": "status",
    "info": "status",
    "current": "status",
    "test": "verify",
    "lint": "verify",
    "validate": "verify",
    "stamp": "baseline",
    "diagnose": "doctor",
}


def unknown_command(given: str, names: Iterable[str]) -> UsageError:
    """Return the error about a command that there is not."""
    meant = _ELSEWHERE.get(given.lower()) or _nearest(given.lower(), names)
    see = f"See: plugin-migrate {meant} --help" if meant else "See: plugin-migrate --help"
    return UsageError(f"There is no command '{given}'", hint=_asked(meant) + see)


def unknown_choice(given: object, what: str, choices: Sequence[object], prog: str) -> UsageError:
    """Return the error about a value that is none of an option's choices.

    Parameters:
        what: the option or argument, as the help calls it.
        prog: the command line up to the command, as in ``plugin-migrate create``.
    """
    known = [str(choice) for choice in choices]
    return UsageError(
        f"Argument {what}: invalid choice: '{given}' (choose from {', '.join(known)})",
        hint=f"{_asked(_nearest(str(given).lower(), known))}See: {prog} --help",
    )


def unknown_arguments(extra: Sequence[str], options: Iterable[str], prog: str) -> UsageError:
    """Return the error about arguments that a command does not take.

    Parameters:
        extra: all of them.
        options: those that the command does take.
        prog: the command line up to the command.
    """
    given = next((word for word in extra if word.startswith("-")), None)
    if given is None:
        return UsageError(f"Unexpected argument: {extra[0]}", hint=f"See: {prog} --help")
    name = given.partition("=")[0]
    return UsageError(
        f"Unknown option: {name}", hint=f"{_asked(_nearest(name, options))}See: {prog} --help"
    )


def _nearest(given: str, names: Iterable[str]) -> str | None:
    from difflib import get_close_matches

    names = list(names)
    begun = [name for name in names if len(given) > 2 and name.startswith(given)]
    return next(iter(begun or get_close_matches(given, names, n=1)), None)


def _asked(meant: str | None) -> str:
    return f"Did you mean `{meant}`?\n" if meant else ""
