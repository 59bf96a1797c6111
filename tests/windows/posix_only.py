"""The tests that are about POSIX itself, with the reason: they do not run under Windows."""

from __future__ import annotations

from pathlib import Path

POSIX_ONLY: dict[str, list[str]] = {}
"""The names of ``posix_only.txt`` by their reason."""

for _line in Path(__file__).with_suffix(".txt").read_text(encoding="utf-8").splitlines():
    if _line.startswith("["):
        _names = POSIX_ONLY.setdefault(_line.strip("[]"), [])
    elif _line and not _line.startswith("#"):
        _names.append(_line)


def reason_for(name: str) -> str | None:
    """Return why what has this pytest node id, relative to ``tests/``, does not run; or ``None``.

    Parameters:
        name: of a folder, a file, or a test with or without its parameters.
    """
    test = name.partition("[")[0]
    above = test.partition("::")[0].split("/")
    names = {name, test, *("/".join(above[:end]) for end in range(1, len(above) + 1))}
    return next((why for why, listed in POSIX_ONLY.items() if names & set(listed)), None)
