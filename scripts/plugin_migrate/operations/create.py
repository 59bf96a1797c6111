"""New migration files: from templates, or from the files of another tool."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from string import Template

from ..errors import Call, InvalidName, StateUnreadable, TakeoverRefused, UsageError, VersionExists
from ..migration import RefusedFile, title_of
from ..plan import Entry
from ..platform import system
from ..storage.durable import make_folder, start_sync, sync_file, sync_folder
from ..survey import Survey
from ..version import Version, is_prerelease
from ..workspace import Workspace
from .repair import file_of

_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_LONGEST_SLUG = 100
# What YAML reads as the same text without quotes, and the words that it does not.
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9 ,.()/_-]*[A-Za-z0-9.)]")
_YAML_WORDS = frozenset({"yes", "no", "true", "false", "on", "off", "null"})
_SUFFIXES = {"python": "py", "sql": "sql", "typescript": "ts"}
LANGUAGES = tuple(_SUFFIXES)
TEMPLATES = ("empty", "plugin", "schema", "data")
FIRST = Version(1, 0, 0)


@dataclass(frozen=True, slots=True)
class Created:
    """A new migration file; ``path`` is absolute, and so is ``types``, if that was made as well."""

    version: Version
    path: str
    language: str
    is_late: bool
    types: str | None = None


@dataclass(frozen=True, slots=True)
class Converted:
    """A migration of another tool's as a new one of ours; ``entry`` is what its ledger calls it."""

    version: Version
    path: str
    entry: str
    text: str
    has_down: bool


@dataclass(frozen=True, slots=True)
class Conversion:
    """What became of a folder of another tool's.

    ``known`` are the entries that were converted before; ``left_out`` the SQL files that the tool
    would not take for migrations either. ``is_late``: the new ones stand below the current version.
    """

    tool: str
    files: tuple[Converted, ...]
    known: tuple[str, ...]
    left_out: tuple[str, ...]
    is_late: bool


def create(
    workspace: Workspace,
    entries: tuple[Entry, ...],
    name: str,
    *,
    author: str,
    description: str | None = None,
    template: str = "empty",
    language: str = "python",
    version: Version | None = None,
    bump: str = "patch",
    refused: Sequence[RefusedFile] = (),
) -> Created:
    """Write a new migration file and return where it is.

    Parameters:
        entries: what the folder and the ledger know, for the next version.
        name: a slug: lower-case words of letters and digits, joined by hyphens.
        author: for the header.
        description: one line; the name's words when missing.
        template: one of :data:`TEMPLATES`.
        language: one of :data:`LANGUAGES`.
        version: the new version; else the newest known one is raised by ``bump``.
        bump: ``patch``, ``minor`` or ``major``.
        refused: files that are meant as migrations, whose versions are taken too.

    Raises:
        InvalidName: the name is no slug.
        VersionExists: the version is taken.
        UsageError: there is no such template in this language.
        StateUnreadable: the file cannot be written.
    """
    require_slug(name)
    taken = _taken(entries, refused)
    version = _free(workspace, taken, version, bump)
    told = description or ""
    if _is_plain_line(told) and not told.strip():
        told = title_of(name)
    text = _filled(template, language, version, told, author)
    path = os.path.join(workspace.migrations, f"{version}-{name}.{_SUFFIXES[language]}")
    write_new(path, text)
    types = _write_types(workspace.migrations) if language == "typescript" else None
    is_late = any(entry.applied and entry.version > version for entry in entries)
    return Created(version, path, language, is_late, types)


def _taken(entries: Sequence[Entry], refused: Sequence[RefusedFile]) -> dict[Version, str]:
    """Return the versions that are taken, each with its file."""
    return {
        **{one.version: one.name for one in refused if one.version is not None},
        **{entry.version: entry.migration.path if entry.migration else "" for entry in entries},
    }


def _free(
    workspace: Workspace, taken: dict[Version, str], version: Version | None, bump: str
) -> Version:
    """Return ``version`` if it is free; without one the newest that is taken, raised by ``bump``.

    Raises:
        UsageError, VersionExists: it cannot be had.
    """
    if version is not None and version == Version(0, 0, 0):
        raise UsageError(
            "0.0.0 is the version before the first migration",
            hint="Give the migration a version above it.",
        )
    newest = max(taken, default=None)
    if version is None:
        # Parsed, because a number has its limit.
        version = Version.parse(str(newest.bump(bump))) if newest else FIRST
    if version in taken:
        raise VersionExists(
            f"Version {version} exists already",
            file=os.path.join(workspace.migrations, taken[version]).rstrip("/"),
            hint=f"The next free one is {(newest or version).bump(bump)}; leave --version out.",
        )
    return version


def convert(
    seen: Survey, tool: str, folder: str, *, version: Version | None = None, bump: str = "patch"
) -> Conversion:
    """Write the migrations in another tool's folder as ours, in its order; all of them or none.

    What says in its header that it was converted before is left out, so that the command can be
    given again, also after it was killed.

    Parameters:
        tool: one of :data:`plugin_migrate.takeover.formats.FORMATS`.
        folder: absolute; nothing in it is changed.
        version: of the first; else as for :func:`create`. Each further one is raised by ``bump``.

    Raises:
        UsageError, TakeoverRefused, BrokenMigration, ForbiddenStatement: the folder cannot be
            converted.
        VersionExists: a version or a file is there already.
        StateUnreadable: a file cannot be written.
    """
    conversion = plan_conversion(seen, tool, folder, version=version, bump=bump)
    if conversion.files:
        _place(seen.workspace.migrations, conversion.files)
    return conversion


def plan_conversion(
    seen: Survey, tool: str, folder: str, *, version: Version | None = None, bump: str = "patch"
) -> Conversion:
    """Return what :func:`convert` would write; reads only, and raises what that raises."""
    from ..takeover.conversion import moment_of, slug_of, text_of
    from ..takeover.formats import read_foreign
    from ..takeover.record import quotable

    workspace = seen.workspace
    found = read_foreign(folder, tool)
    claimed = _claimed(seen.entries)
    taken = _taken(seen.entries, seen.refused)
    files: list[Converted] = []
    known: list[str] = []
    for migration in found.migrations:
        if f"{tool} {migration.entry}" in claimed:
            known.append(migration.entry)
            continue
        if not _is_plain_line(migration.entry):
            raise TakeoverRefused(
                f"{quotable(migration.entry)!r} is no name that a header can carry",
                file=folder,
                hint="Rename the file: letters, digits, hyphens and underscores will do.",
            )
        version = _free(workspace, taken, version, bump)
        slug = slug_of(migration, tool)
        moment = moment_of(migration)
        header = [
            f"description: {_as_literal(title_of(slug), 'sql')}",
            *([f"created_at: {moment}"] if moment else ()),
            f"from: {_as_literal(f'{tool} {migration.entry}', 'sql')}",
        ]
        text = text_of(migration, header, os.path.join(folder, migration.files[0]))
        path = os.path.join(workspace.migrations, f"{version}-{slug}.sql")
        has_down = migration.down is not None
        files.append(Converted(version, path, migration.entry, text, has_down))
        taken[version] = path
        version = Version.parse(str(version.bump(bump)))
    if not files and not known:
        raise TakeoverRefused(
            f"The folder holds no migration of {tool}'s",
            file=folder,
            hint="Name the folder that holds the migrations themselves.",
            details=tuple(f"not one by its name: {quotable(name)}" for name in found.left_out[:5]),
        )
    newest = seen.current
    is_late = newest is not None and any(file.version < newest for file in files)
    return Conversion(tool, tuple(files), tuple(known), found.left_out, is_late)


def _claimed(entries: Sequence[Entry]) -> set[str]:
    """Return what the headers of our migrations say that they were converted from."""
    from ..takeover.headers import said_by

    return {
        claim
        for entry in entries
        if entry.migration is not None
        for claim in said_by(file_of(entry)).claims
    }


def require_slug(name: str) -> None:
    """Refuse a name that is not a slug, and suggest one.

    Raises:
        InvalidName: with the nearest slug as the hint.
    """
    if is_prerelease(name.partition("-")[0]):
        raise InvalidName(
            f"A migration's name must not begin like a pre-release version: '{name}'",
            hint="Put another word first.",
        )
    if _SLUG.fullmatch(name) and len(name) <= _LONGEST_SLUG:
        return
    plain = _without_accents(re.sub(r"([a-z0-9])([A-Z])", r"\1-\2", name))
    words = re.findall(r"[a-z0-9]+", plain)
    meant = "-".join(words)[:_LONGEST_SLUG].strip("-")
    raise InvalidName(
        f"Invalid name for a migration: '{name}'",
        hint="Use lower-case words joined by hyphens"
        + (f", for example: {meant}" if meant else ", for example: add-oauth"),
    )


def _without_accents(text: str) -> str:
    """Return ``text`` in lower case, with the letters that accents were put on."""
    from unicodedata import combining, normalize

    return "".join(char for char in normalize("NFD", text.casefold()) if not combining(char))


def _filled(template: str, language: str, version: Version, description: str, author: str) -> str:
    if not _is_plain_line(description):
        raise UsageError("A description is one line of text, without control characters")
    path = template_path(f"{template}.{_SUFFIXES[language]}.txt")
    if not os.path.exists(path):
        raise UsageError(
            f"The template '{template}' changes files, which SQL cannot",
            hint=("Use: ", Call("create", f"NAME --template={template} --language=python")),
        )
    with open(path, encoding="utf-8") as file:
        text = Template(file.read())
    return text.substitute(
        version=version,
        description=_as_literal(description, language),
        title=description.replace("\\", "/").replace('"', "'"),
        author=_as_literal(author, language),
        created_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    )


def template_path(name: str) -> str:
    """Return where a template stands."""
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), "templates", name)


def _is_plain_line(text: str) -> bool:
    from unicodedata import category

    # Control characters, surrogates (bytes that are no UTF-8), ends of line, what YAML refuses.
    refused = ("Cc", "Cs", "Zl", "Zp")
    return all(category(char) not in refused and char not in "\ufffe\uffff" for char in text)


def _as_literal(text: str, language: str) -> str:
    """Return ``text`` as a literal of the language's header: JSON is YAML, and nearly Python."""
    import json

    if language == "sql" and _PLAIN.fullmatch(text) and text.lower() not in _YAML_WORDS:
        return text
    return json.dumps(text, ensure_ascii=False)


def _write_types(migrations: str) -> str | None:
    """Write what TypeScript migrations import their types from, unless it is there already."""
    path = os.path.join(os.path.dirname(migrations), "types.ts")
    if os.path.lexists(path):
        return None
    with open(template_path("types.ts.txt"), encoding="utf-8") as file:
        write_new(path, file.read())
    return path


def write_new(path: str, text: str) -> None:
    """Write a file that is not there yet, with the folders that lead to it.

    Raises:
        VersionExists: it is there.
        StateUnreadable: it cannot be written.
    """
    with _told_of(path):
        make_folder(os.path.dirname(path))
        with open(path, "x", encoding="utf-8", newline="\n") as file:
            file.write(text)


def _place(folder: str, files: Sequence[Converted]) -> None:
    """Write files that are not there yet: each whole or not at all, and all of them or none.

    They are written beside the others first, where a full disk or a quota shows. A killed command
    leaves some of them, and a folder that is hidden.

    Raises:
        VersionExists: one is there.
        StateUnreadable: one cannot be written.
    """
    from tempfile import mkdtemp

    from ..platform.moving import discard, place, remove

    placed: list[str] = []
    with _told_of(folder):
        make_folder(folder)
        aside = mkdtemp(prefix=".create-", dir=folder)
    try:
        for file in files:
            part = _part_of(file, aside)
            with _told_of(file.path), open(part, "x", encoding="utf-8", newline="\n") as stream:
                stream.write(file.text)
            start_sync(part)
        for file in files:
            sync_file(_part_of(file, aside))
        for file in files:
            with _told_of(file.path):
                if not place(_part_of(file, aside), file.path):
                    # A file system that cannot tell in one instant.
                    write_new(file.path, file.text)
                placed.append(file.path)
        sync_folder(folder)
    except BaseException:
        for path in placed:
            remove(path)
        raise
    finally:
        discard(aside)


def _part_of(file: Converted, aside: str) -> str:
    return os.path.join(aside, os.path.basename(file.path))


@contextmanager
def _told_of(path: str) -> Iterator[None]:
    """Turn what the system says about writing the new file ``path`` into one of our errors."""
    try:
        yield
    except FileExistsError:
        raise VersionExists("The file exists already", file=path) from None
    except OSError as error:
        raise StateUnreadable(
            f"The file cannot be written: {system.reason_of(error)}",
            file=path,
            hint="Check the folder's permissions, and that the disk is writable and not full.",
        ) from None
