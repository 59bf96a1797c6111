"""Putting a file in another's place so that what somebody saves in that instant survives.

Between a comparison and the rename that follows it, somebody can save the file. So the two are
exchanged and what came out is looked at: if it is not what was compared, it is put back. Until all
is done it stays in the log, under the number of its path there, where the next command finds it
after a kill: ``swap-N`` holds the new file and, from the exchange on, the old one; ``out-N`` a file
that was removed.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import suppress

from ..errors import Call, NeedsRepair
from ..platform import system
from ..platform.moving import (
    exchange,
    finish_exchange,
    is_mid_exchange,
    place,
    remove,
    rename,
    replace,
)
from ..storage.durable import sync_folder
from ..storage.nodes import Node, observe
from ..values import NamedTuple
from .redo_log import Log

_GONE = (FileNotFoundError, NotADirectoryError)


class _Taken(NamedTuple):
    """An old file that lies in the log; ``signature`` tells whether somebody still writes to it."""

    number: int
    held: str
    target: str
    new: Node | None
    signature: system.Signature


class Replacer:
    """Puts files in place and takes files out for one redo log.

    Parameters:
        log: in whose folder what is exchanged lies meanwhile, on the device of its targets.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._taken: list[_Taken] = []

    def is_mid_exchange(self, number: int) -> bool:
        """Return whether a kill came between the steps of an exchange, where it takes several."""
        return is_mid_exchange(self._swap(number))

    def finish_exchange(self, number: int, target: str) -> None:
        """Bring such an exchange to its end or its beginning: then ``target`` is there again."""
        finish_exchange(self._swap(number), target)

    def bring_back(self, number: int, harmless: tuple[Node | None, ...]) -> str | None:
        """Return the file that a killed command took out though somebody had just saved it.

        It is to be given to :meth:`put_back`.

        Parameters:
            harmless: what else may lie there, and is removed: the old and the new content.

        Raises:
            NeedsRepair: what lies there no command ever took out.
        """
        for held in self._names(number):
            left = observe(held, through_links=False)
            if left is None:
                continue
            if left in harmless:
                remove(held)
            elif left.kind in ("file", "link"):
                return held
            else:
                raise NeedsRepair(
                    "A redo log is damaged: it holds what no step makes",
                    file=held,
                    hint=("Accept the live files: ", Call("repair", "--keep-live")),
                )
        return None

    def held(self, number: int, harmless: tuple[Node | None, ...]) -> Iterator[str]:
        """Yield the files of a path that somebody saved and that lie in the log.

        Parameters:
            harmless: what else may lie there: the old and the new content.
        """
        for held in self._names(number):
            left = observe(held, through_links=False)
            if left is not None and left not in harmless and left.kind in ("file", "link"):
                yield held

    def put(self, number: int, new: str, target: str, compared: Node | None, after: Node) -> bool:
        """Put ``new`` in the place of ``target`` if that still is what was compared.

        Parameters:
            number: of its path in the log.
            new: the complete new file or link, in the log's folder; gone afterwards.
            compared: what stood at ``target``, itself and not through a link.
            after: what ``new`` is.

        Returns:
            Whether it is in place; otherwise what somebody saved is.

        Raises:
            OSError: it may not be moved there.
        """
        swap = self._swap(number)
        # Under this name it counts as complete, so that nothing half written is taken for an edit.
        rename(new, swap)
        try:
            if compared is None:
                is_done = place(swap, target)
            else:
                is_done = exchange(swap, target)
        except (FileExistsError, FileNotFoundError):
            # Somebody made or removed the file in this instant, and that stands.
            remove(swap)
            return False
        if not is_done:
            return _replace(swap, target, compared)
        return compared is None or self._accept(number, swap, target, compared, after)

    def take_out(self, number: int, target: str, compared: Node) -> bool:
        """Remove ``target`` if it still is what was compared, itself and not through a link.

        Returns:
            Whether it is gone; otherwise what somebody saved stands there.

        Raises:
            OSError: it may not be removed.
        """
        out = self._out(number)
        try:
            rename(target, out)
        except FileNotFoundError:  # somebody was faster
            return True
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            # Below a mount point: nothing can be exchanged with the log.
            if observe(target, through_links=False) != compared:
                return False
            remove(target)
            return True
        return self._accept(number, out, target, compared, None)

    def put_back(self, held: str, target: str, new: Node | None) -> bool:
        """Return to its place what somebody saved and what was taken out.

        What stands there by now may have been saved even later. It stays then, and the earlier one
        is put beside it.

        Parameters:
            held: where it lies in the log.
            new: what the log puts at ``target``, which may have to make room.

        Returns:
            Whether it is in its place; otherwise it is beside it.
        """
        standing = observe(target, through_links=False)
        if standing is not None and standing == new and _exchanged(held, target):
            if observe(held, through_links=False) == standing:
                remove(held)
                return True
        else:
            with suppress(FileExistsError, *_GONE):
                if place(held, target):
                    return True
        self.put_beside(held, target)
        return False

    def settle(self) -> set[int]:
        """Remove the old files, once the new ones are on the disk.

        A program that had one open may have written to it since: that is an edit too.

        Returns:
            The numbers of the paths where somebody's edit stands in place of the new file.
        """
        edited = set()
        for taken in self._taken:
            if system.signature_of(os.lstat(taken.held)) == taken.signature:
                remove(taken.held)
                continue
            edited.add(taken.number)
            self.put_back(taken.held, taken.target, taken.new)
            with suppress(*_GONE):
                sync_folder(os.path.dirname(taken.target))
        self._taken.clear()
        return edited

    def _accept(
        self, number: int, held: str, target: str, compared: Node, new: Node | None
    ) -> bool:
        """Look at what came out: keep it for now, or put it back."""
        signature = system.signature_of(os.lstat(held))
        if observe(held, through_links=False) == compared:
            self._taken.append(_Taken(number, held, target, new, signature))
            return True
        self.put_back(held, target, new)
        return False

    def put_beside(self, held: str, target: str) -> None:
        """Put what lies in the log beside its place, under a name that tells what it is."""
        folder, name = os.path.split(target)
        while not os.path.isdir(folder):  # a migration may have removed it
            folder = os.path.dirname(folder)
        beside = os.path.join(folder, f"{name}.edited-{self._log.id[:8]}")
        while os.path.lexists(beside):  # an earlier edit of the same file
            beside += "+"
        rename(held, beside)

    def _names(self, number: int) -> tuple[str, str]:
        return self._swap(number), self._out(number)

    def _swap(self, number: int) -> str:
        return self._log.path_of(f"swap-{number}")

    def _out(self, number: int) -> str:
        return self._log.path_of(f"out-{number}")


def _exchanged(held: str, target: str) -> bool:
    with suppress(FileNotFoundError):
        return exchange(held, target)
    return False


def _replace(swap: str, target: str, compared: Node | None) -> bool:
    """Compare once more and rename, where the system cannot exchange."""
    if observe(target, through_links=False) == compared:
        try:
            replace(swap, target)
        except OSError as error:  # which names the file of ours first
            raise OSError(error.errno, error.strerror, target, None, swap) from None
        return True
    remove(swap)
    return False
