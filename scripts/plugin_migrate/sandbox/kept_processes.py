"""What actions keep from one step of a run to the next, such as a process that runs them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol, TypeVar

    class Session(Protocol):
        """Something that is kept until the run ends, or until it is of no more use."""

        @property
        def is_usable(self) -> bool:
            """Whether a further step may use it."""

        def close(self) -> None:
            """End it; more than once does no harm."""

    S = TypeVar("S", bound=Session)


class KeptProcesses:
    """The sessions of one run, by what they are for."""

    def __init__(self) -> None:
        self._kept: dict[object, Session] = {}

    def get(self, key: object, make: Callable[[], S]) -> S:
        """Return the session kept under ``key``, or a new one in its place."""
        kept = self._kept.get(key)
        if kept is None or not kept.is_usable:
            kept = self._kept[key] = make()
        return kept  # type: ignore[return-value]  # a key stands for one kind of session

    def close(self) -> None:
        """End all of them."""
        with ExitStack() as stack:
            for session in self._kept.values():
                stack.callback(session.close)
        self._kept.clear()
