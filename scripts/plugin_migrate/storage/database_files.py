"""The four names of an SQLite database, looked at before SQLite opens any of them.

SQLite trusts what stands beside a database. It rolls a journal back and then deletes the file that
the journal's end names as its super-journal, whichever file that is
(https://www.sqlite.org/fileformat.html, 3); it waits forever at a named pipe. Both can come with a
cloned repository, so nothing is opened before it has been looked at here, and nothing that SQLite
does for us reaches beyond these four names.
"""

from __future__ import annotations

import os
import stat
import struct

from ..errors import StateUnreadable
from ..platform import system

JOURNAL = "-journal"
SIDE_SUFFIXES = ("-wal", "-shm", JOURNAL)

_MAGIC = bytes.fromhex("d9d505f920a163d7")
# Length of the super-journal's name, its checksum, and the magic: the last bytes of a journal.
_TRAILER = struct.Struct(">II8s")
# Larger indexes are not read: git's own is 10 MB for 100,000 files.
_LARGEST_INDEX = 64 << 20
# What stands there says that it is a plain file, and reading it can wait forever (`/proc/kmsg`).
_OF_THE_KERNEL = ("/proc/", "/sys/")


def refuse_special(path: str) -> None:
    """Refuse a database of which one of the four names is not a plain file.

    Reading needs no more: a connection that cannot write follows no journal.

    Raises:
        StateUnreadable: names the file.
    """
    real = os.path.realpath(path)  # as SQLite does, which puts its files beside that
    for suffix in ("", *SIDE_SUFFIXES):
        status = _status(real + suffix)
        if status is None or (stat.S_ISREG(status.st_mode) and not real.startswith(_OF_THE_KERNEL)):
            continue
        if not suffix:
            raise StateUnreadable(
                "The database is not a plain file",
                file=path,
                hint="Point to the right one, with --database or in the settings, or move this"
                " away.",
            )
        raise StateUnreadable(
            "What stands beside the database under the name of SQLite's own file is not a plain"
            " file",
            file=real + suffix,
            hint="SQLite never makes such a thing. Remove it, then run the command again.",
        )


def refuse_unsafe(path: str) -> None:
    """Refuse a database that no connection which can write may be opened to.

    Besides what :func:`refuse_special` refuses: a journal that names a super-journal, and a journal
    or write-ahead log that git brought and nobody here has written since.

    Raises:
        StateUnreadable: names the file and the way out.
    """
    refuse_special(path)
    real = os.path.realpath(path)
    for suffix in (JOURNAL, "-wal"):
        status = _status(real + suffix)
        if status is not None and status.st_size and came_with_git(real + suffix, status):
            raise StateUnreadable(
                "SQLite's file beside the database came with the git repository, so what it would"
                " put into the database was not written here",
                file=real + suffix,
                hint="Remove it (git rm), then run the command again. If the repository's author"
                " needs it, open the database with its own program instead.",
            )
    name = super_journal(real + JOURNAL)
    if name is not None:
        raise StateUnreadable(
            "The journal beside the database names another file, which SQLite would delete:"
            f" {system.slashed(name)!r}",
            file=real + JOURNAL,
            hint="If it came with a repository or an archive, remove the journal. If a program of"
            " yours was interrupted\nwhile it wrote several databases, open the database with that"
            " program first.",
        )


def super_journal(journal: str) -> str | None:
    """Return the file that SQLite would delete after rolling a journal back, if it names one.

    More is taken for a name than SQLite takes, which also wants its checksum to be right. The
    journal of a database in use may be opened here: SQLite holds no lock on it that closing could
    drop, unlike on the database itself.
    """
    try:
        descriptor = system.open_unfollowed(journal)
    except OSError:  # there is none, or SQLite cannot open it either
        return None
    try:
        size = os.fstat(descriptor).st_size
        if size < _TRAILER.size or system.read_at(descriptor, 1, 0) in (b"", b"\0"):
            return None  # ended: its header is wiped
        end = size - _TRAILER.size
        length, _checksum, magic = _TRAILER.unpack(system.read_at(descriptor, _TRAILER.size, end))
        if magic != _MAGIC or not 0 < length <= end:
            return None
        return os.fsdecode(system.read_at(descriptor, min(length, 4096), end - length))
    finally:
        os.close(descriptor)


def came_with_git(path: str, status: os.stat_result) -> bool:
    """Return whether a file stands as git wrote it, untouched since.

    git's index holds times, device and inode of every file that it checked out
    (https://git-scm.com/docs/index-format), and whatever SQLite writes here changes the times. It
    is read as bytes: to run git is to run what a repository's settings name.
    """
    entry = struct.pack(
        ">6I",
        *(part & 0xFFFFFFFF for part in divmod(status.st_ctime_ns, 10**9)),
        *(part & 0xFFFFFFFF for part in divmod(status.st_mtime_ns, 10**9)),
        *system.noted_by_git(status),
    )
    folder = os.path.dirname(path)
    while True:
        if entry in _index_of(os.path.join(folder, ".git")):
            return True
        parent = os.path.dirname(folder)
        if parent == folder:
            return False
        folder = parent


def _index_of(git: str) -> bytes:
    """Return the index of a working tree, whose ``.git`` may be a file that says where it is."""
    pointer = _read(git, 4096).decode("utf-8", "replace")
    if pointer.startswith("gitdir: "):
        git = os.path.join(os.path.dirname(git), pointer.removeprefix("gitdir: ").rstrip("\n"))
    return _read(os.path.join(git, "index"), _LARGEST_INDEX)


def _read(path: str, most: int) -> bytes:
    """Return a plain file's content; nothing when there is none, or more than ``most`` bytes."""
    try:
        descriptor = system.open_unfollowed(path)
    except (OSError, ValueError):
        return b""
    try:
        status = os.fstat(descriptor)
        is_usable = stat.S_ISREG(status.st_mode) and status.st_size <= most
        return os.read(descriptor, status.st_size) if is_usable else b""
    finally:
        os.close(descriptor)


def _status(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError:
        return None
