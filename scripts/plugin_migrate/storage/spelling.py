"""What stands at exactly a name, where the file system takes several names for one.

On macOS, on Windows and in a casefold folder of Linux, ``a.md`` and ``A.md`` find the same file, as
do the composed and the decomposed form of ``é``; yet only one of them is in the folder's listing.
A rename from one to the other is a deletion and a creation for us, as everywhere. That can only be
compared and published where each name means what the listing says.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable

from .files import Node, observe


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
    """Return what stands below ``folder`` at exactly ``path``; see :func:`tree.observe`.

    Raises:
        OSError: something stands there but cannot be read.
    """
    # The second look only where there is something: most of what is asked for is not there.
    node = observe(f"{folder}/{path}", through_links)
    return node if node is None or is_spelled(folder, path) else None


def is_taken(folder: str, path: str) -> bool:
    """Return whether the file system gives ``path`` to something of another name."""
    return os.path.lexists(f"{folder}/{path}") and not is_spelled(folder, path)


def finds_one_of(folder: str, path: str, others: Iterable[str]) -> bool:
    """Return whether what the file system finds at ``path`` is what stands at one of ``others``."""
    found = os.lstat(f"{folder}/{path}")
    for other in others:
        try:
            if os.path.samestat(found, os.lstat(f"{folder}/{other}")):
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
