"""Keeps Claude's Edit and Write from changing a migration that is applied.

Nobody else's copy would change with it, and the ledger's checksum would no longer fit. Commands in
a shell are not seen here; what they change shows as ``Modified``.
"""

from __future__ import annotations

import json
import os
import sys

from ..languages import language_of
from ..ledger.read import read_ledger
from ..migration import parse_name
from ..platform import system
from ..version import Version
from ..workspace import Workspace
from .session_start import sources

_LARGEST_CALL = 64 * 1024 * 1024


def main() -> str | None:
    """Return the document that denies the tool call on standard input; ``None`` lets it pass.

    Raises:
        Exception: whatever went wrong; the call passes then.
    """
    call = json.loads(sys.stdin.buffer.read(_LARGEST_CALL))
    path = os.path.join(call.get("cwd", "/"), system.from_shell(call["tool_input"]["file_path"]))
    for workspace in sources(os.environ):
        try:
            version = _applied_at(workspace, path)
        except Exception:  # noqa: S112 - this source cannot be read: `status` says so
            continue
        if version is not None:
            return _denial(workspace, version, path)
    return None


def _applied_at(workspace: Workspace, path: str) -> Version | None:
    """Return the applied version that the file at ``path`` carries in this source, if it is one."""
    name = _name_in(workspace.migrations, path)
    if name is None or language_of(name) is None:
        return None
    version, _ = parse_name(name, path)
    return version if version in read_ledger(workspace).applied else None


def _name_in(folder: str, path: str) -> str | None:
    """Return the name under which ``path`` stands in the migrations folder, through any links."""
    name = os.path.basename(path)
    if os.path.realpath(os.path.dirname(path)) == os.path.realpath(folder):
        return name
    if os.path.exists(path) and os.path.isdir(folder):
        return _linked_in(folder, os.stat(path))
    return None


def _linked_in(folder: str, target: os.stat_result) -> str | None:
    """Return the name in the folder that is a link to a file; only links are looked at closer."""
    with os.scandir(folder) as listing:
        for entry in listing:
            may_be = entry.is_symlink() or entry.inode() == target.st_ino
            if may_be and entry.name[0].isdigit() and _is_at(entry.path, target):
                return entry.name
    return None


def _is_at(path: str, target: os.stat_result) -> bool:
    return os.path.exists(path) and os.path.samestat(os.stat(path), target)


def _denial(workspace: Workspace, version: Version, path: str) -> str:
    option = f" --plugin {workspace.source}" if workspace.source else ""
    change = (
        "Ship a new migration with the plugin"
        if workspace.source
        else "Write a new migration (/plugin-migrate create NAME)"
    )
    reason = (
        f"Migration {version} ({os.path.basename(path)}) is applied, so its file stays as it is:"
        f" its checksum is in the ledger, and others may have applied it. {change}. If this very"
        " migration has to change, ask the user to roll it back first"
        f" (/plugin-migrate downgrade{option}): a pending migration may be edited."
    )
    return json.dumps(
        {
            "hookSpecificOutput": {
                "hookEventName": "PreToolUse",
                "permissionDecision": "deny",
                "permissionDecisionReason": reason,
            }
        }
    )
