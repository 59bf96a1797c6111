"""What stands at a path: the value that staging, redo log, publish and recovery compare."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
import unicodedata
from collections.abc import Iterable

from ..platform import system
from ..values import NamedTuple
from ..workspace import BESIDE
from .files import CHUNK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..workspace import Workspace


# Some file systems count time in ticks of up to 10 ms: within one, a changed file can look
# unchanged. git calls such an entry "racily clean" and reads it; so do we.
RACY_NS = 50_000_000


class Node(NamedTuple):
    """A file, folder or link as far as a migration can change it.

    ``kind`` is ``file``, ``dir``, ``link`` or ``other`` (a pipe, a socket, a device). ``mode``
    holds the permission bits; ``sha256`` and ``size`` describe a file's content. ``link`` is the
    link's text: for ``link`` the thing itself, for ``file`` the link through which it is reached.
    """

    kind: str
    mode: int = 0
    sha256: str | None = None
    size: int = 0
    link: str | None = None


class PathChange(NamedTuple):
    """One path before and after; ``None`` where nothing stands.

    ``path`` is one of the state (:class:`Workspace`). Whoever knows where a content lies keeps
    that beside it.
    """

    path: str
    before: Node | None
    after: Node | None

    @property
    def verb(self) -> str:
        """What happened to the path: it was ``created``, ``deleted`` or ``changed``."""
        if self.before is None:
            return "created"
        return "deleted" if self.after is None else "changed"

    def observe(self, workspace: Workspace) -> Node | None:
        """Return what stands at the path now: a link itself, if it is about one.

        What a linked folder leads to is not the path. A step may put a link in a folder's place:
        then what the folder held is gone.

        Raises:
            OSError: something stands there but cannot be read.
        """
        parent = os.path.dirname(workspace.live(self.path))
        if system.leads_elsewhere(parent):
            return None
        is_link = "link" in (kind_of(self.before), kind_of(self.after))
        return observe_spelled(*workspace.place(self.path), through_links=not is_link)

    def as_json(self) -> dict[str, object]:
        """Return it as keys of a JSON document."""
        before, after = self.before, self.after
        return {
            "path": self.path,
            "before": before and before._asdict(),
            "after": after and after._asdict(),
        }

    @classmethod
    def from_json(cls, item: dict[str, Any]) -> PathChange:
        """Return what :meth:`as_json` gave.

        Raises:
            KeyError, TypeError, ValueError: it is another document.
        """
        return cls(
            inside(item["path"]), node_from_json(item["before"]), node_from_json(item["after"])
        )


def kind_of(node: Node | None) -> str | None:
    """Return the kind of what stands at a path, or ``None`` where nothing does."""
    return node.kind if node is not None else None


def node_from_json(value: object) -> Node | None:
    """Return the node that a JSON document holds; it may come with a cloned repository.

    Raises:
        ValueError: it describes nothing that can stand at a path.
    """
    if value is None:
        return None
    if not isinstance(value, dict) or set(value) != set(Node._fields):
        raise ValueError("not the description of a file, folder or link")
    node = Node(**value)
    is_hashed = isinstance(node.sha256, str) and re.fullmatch("[0-9a-f]{64}", node.sha256)
    if (
        node.kind not in ("file", "dir", "link", "other")
        or type(node.mode) is not int
        or not 0 <= node.mode <= 0o7777
        or type(node.size) is not int
        or not 0 <= node.size < 1 << 62
        or not (is_hashed if node.kind == "file" else node.sha256 is None)
        or not (is_path_text(node.link) if node.link is not None else node.kind != "link")
    ):
        raise ValueError(f"no file, folder or link is like this: {value!r:.200}")
    return node


def is_path_text(value: object) -> bool:
    """Return whether ``value`` is a text that the system takes as a path."""
    return isinstance(value, str) and bool(value) and "\0" not in value and _is_encodable(value)


def _is_encodable(text: str) -> bool:
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return False
    return True


def inside(path: object) -> str:
    """Return ``path`` if it is one of the state: below ``.claude/``, or beside it in the project.

    A log may come with a cloned repository: it must not reach for ``../../.bashrc``, nor for the
    hooks that git keeps.
    """
    if not isinstance(path, str) or not is_path_text(path) or os.path.isabs(path):
        raise ValueError(f"not a path below .claude/: {path!r:.200}")
    is_beside = path.startswith(BESIDE)
    parts = path.removeprefix(BESIDE).split("/")
    # Where a backslash separates folders, and a colon ends a drive, no name has one.
    is_foreign = system.slashed(path) != path or os.path.splitdrive(path)[0]
    if (
        is_foreign
        or any(part in ("", ".", "..") for part in parts)
        or (is_beside and _is_out_of_reach(parts))
    ):
        raise ValueError(f"not a path below .claude/ or of state beside it: {path!r:.200}")
    return path


def _is_out_of_reach(parts: list[str]) -> bool:
    """Return whether a path beside ``.claude/`` leads there, or to what git keeps."""
    from ..platform.windows_names import opens_git

    return parts[0].casefold() == ".claude" or any(map(opens_git, parts))


def below_claude(path: object) -> str:
    """Return ``path`` if it is one of the state, below ``.claude/`` and not beside it."""
    if inside(path).startswith(BESIDE):
        raise ValueError(f"not a path below .claude/: {path!r:.200}")
    return inside(path)


def text_of(value: object) -> str:
    """Return ``value`` if it is a text.

    Raises:
        ValueError: it is not.
    """
    if not isinstance(value, str):
        raise ValueError(f"not a text: {value!r:.60}")
    return value


def observe(path: str, through_links: bool = True) -> Node | None:
    """Return what stands at ``path`` now, or ``None``.

    Parameters:
        path: absolute.
        through_links: describe the file a link leads to, rather than the link.

    Raises:
        OSError: something stands there but cannot be read.
    """
    try:
        status = os.lstat(path)
        link = os.readlink(path) if stat.S_ISLNK(status.st_mode) else None
        if link is not None:
            if not through_links or not os.path.isfile(path):
                return Node("link", link=link)
            status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:  # below a link that leads to itself
            return None
        raise
    mode = system.permissions(status)
    if stat.S_ISDIR(status.st_mode):
        return Node("dir", mode)
    if stat.S_ISREG(status.st_mode):
        return Node("file", mode, digest_of(path), status.st_size, link)
    return Node("other", mode)


def digest_of(path: str) -> str:
    """Return the SHA-256 of a file's content in hex, reading it in pieces."""
    digest = hashlib.sha256()
    descriptor = system.open_to_read(path)
    try:
        # What says that it is empty is not read: so do files in /proc, which can wait forever.
        if os.fstat(descriptor).st_size:
            while chunk := os.read(descriptor, CHUNK):
                digest.update(chunk)
    finally:
        os.close(descriptor)
    return digest.hexdigest()


# On macOS, on Windows and in a casefold folder of Linux, ``a.md`` and ``A.md`` find the same file,
# as do the composed and the decomposed form of ``é``; yet only one of them is in the folder's
# listing. A rename from one to the other is a deletion and a creation for us, as everywhere. That
# can only be compared and published where each name means what the listing says.


def is_spelled(folder: str, path: str) -> bool:
    """Return whether something stands below ``folder`` at exactly ``path``, or nothing does.

    False only where what is found has another name: ``path``'s own, or that of a folder on the way.

    Parameters:
        folder: absolute; its own name is of no interest.
        path: relative to it; empty for ``folder`` itself.
    """
    for name in path.split("/") if path else ():
        if _has_other_name(folder, name):
            return False
        folder = f"{folder}/{name}"
    return True


def observe_spelled(folder: str, path: str, through_links: bool = True) -> Node | None:
    """Return what stands below ``folder`` at exactly ``path``; see :func:`observe`.

    Raises:
        OSError: something stands there but cannot be read.
    """
    # The second look only where there is something: most of what is asked for is not there.
    node = observe(f"{folder}/{path}", through_links)
    return node if node is None or is_spelled(folder, path) else None


def is_taken(folder: str, path: str) -> bool:
    """Return whether the file system gives ``path`` to something of another name."""
    return os.path.lexists(f"{folder}/{path}") and not is_spelled(folder, path)


def finds_one_of(path: str, others: Iterable[str]) -> bool:
    """Return whether what the file system finds at ``path`` is what stands at one of ``others``."""
    found = os.lstat(path)
    for other in others:
        try:
            if os.path.samestat(found, os.lstat(other)):
                return True
        except (FileNotFoundError, NotADirectoryError):
            continue
    return False


def _has_other_name(folder: str, name: str) -> bool:
    """Return whether what ``folder`` has for ``name`` is listed under another name."""
    # Asking for a variant costs a system call; listing would be quadratic in a large folder.
    if not any(os.path.lexists(f"{folder}/{variant}") for variant in _variants(name)):
        return False
    return os.path.lexists(f"{folder}/{name}") and name not in os.listdir(folder)


def _variants(name: str) -> set[str]:
    """Return other names by which a file system that folds names would find the same."""
    if name.isascii():
        return {name.swapcase()} - {name}
    forms = {unicodedata.normalize(form, name) for form in ("NFC", "NFD")}
    return {name.swapcase(), *forms} - {name}
