"""The files of a commit, written to a folder of ours without git's filters or attributes."""

from __future__ import annotations

import os
import tempfile

from ..plain_file import size_of
from ..storage.files import require_room
from ..storage.nodes import inside
from ..values import NamedTuple
from .command import NoAnswer, Repository

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO


_MOST_FILES = 100_000
_LARGEST = 1 << 30
_LINK, _EXECUTABLE = "120000", "100755"
_FILES = frozenset({"100644", "100664", _EXECUTABLE, _LINK})


class _Blob(NamedTuple):
    mode: str
    id: str
    path: str


def write_tree(repository: Repository, commit: str, folder: str) -> None:
    """Write what a commit holds of the repository's folder into ``folder``, over what is there.

    Links that would leave it are left out: nothing may be read or written through them.

    Raises:
        NoAnswer: git cannot be asked, or lacks some of it.
        OSError: there is no room.
    """
    entries = _entries(repository, commit)
    if not entries:
        return
    with tempfile.TemporaryFile() as said:
        ids = "".join(f"{entry.id}\n" for entry in entries).encode()
        repository.ask_into(said, "cat-file", "--batch", given=ids)
        require_room("the files of a commit", folder, said.tell(), folder)
        said.seek(0)
        links = {}
        for entry in entries:
            size = _size(said, entry)
            if entry.mode == _LINK:
                links[entry.path] = os.fsdecode(said.read(size))
            else:
                _write_file(said, size, entry, folder)
            said.read(1)
    # Last, so that no file is written through one, whatever a tree that somebody made up says.
    for path, text in links.items():
        _link(text, path, folder)


def _entries(repository: Repository, commit: str) -> list[_Blob]:
    prefix = repository.ask("rev-parse", "--show-prefix").rstrip(b"\n").rstrip(b"/")
    tree = f"{commit}:{os.fsdecode(prefix)}"
    try:
        repository.ask("rev-parse", "--verify", "--quiet", tree)
    except NoAnswer:  # the folder came later
        return []
    said = repository.ask("ls-tree", "-r", "-l", "-z", "--full-tree", tree)
    entries, total = [], 0
    for line in filter(None, said.split(b"\0")):
        about, _, path = line.partition(b"\t")
        mode, _, name, size = about.decode().split()
        if mode not in _FILES:
            continue
        try:
            entries.append(_Blob(mode, name, inside(os.fsdecode(path))))
        except ValueError as error:
            raise NoAnswer(str(error)) from None
        total += int(size)
    if len(entries) > _MOST_FILES or total > _LARGEST:
        raise NoAnswer(f"its .claude/ has {len(entries):,} files of together {size_of(total)}")
    return entries


def _size(said: IO[bytes], entry: _Blob) -> int:
    head = said.readline().split()
    if len(head) != 3:
        raise NoAnswer(f"{entry.path} is missing in this clone")
    return int(head[2])


def _write_file(said: IO[bytes], size: int, entry: _Blob, folder: str) -> None:
    target = os.path.join(folder, entry.path)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with open(target, "wb") as file:
        while size:
            chunk = said.read(min(size, 1 << 20))
            size -= len(chunk)
            file.write(chunk)
    os.chmod(target, 0o755 if entry.mode == _EXECUTABLE else 0o644)


def _link(text: str, path: str, folder: str) -> None:
    """Make a link that stays inside: also by way of other links, so it may only begin with `..`."""
    target = os.path.join(folder, path)
    leads = os.path.normpath(os.path.join(os.path.dirname(target), text))
    way = text.split("/")
    goes_back = ".." in way[next((n for n, part in enumerate(way) if part != ".."), len(way)) :]
    if text.startswith("/") or goes_back or not leads.startswith(folder + os.sep):
        return
    os.makedirs(os.path.dirname(target), exist_ok=True)
    os.symlink(text, target)
