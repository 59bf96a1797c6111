"""The thin shell around the pure editors: read a file, let the author change it, write it back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import Conflict


@contextmanager
def edit_file(
    path: Path,
    load: Callable[[str, str], Any],
    apply: Callable[[str, Any, str], str],
    shown: str | None,
) -> Iterator[Any]:
    """Yield what ``load`` reads from the file; on a clean exit, write what ``apply`` makes of it.

    A file whose text stays the same is not touched, and an error inside the block writes nothing.

    Parameters:
        path: the file.
        load: text to value.
        apply: old text and new value to new text.
        shown: the file's name for messages, which both are given; the path itself if ``None``.

    Raises:
        FileNotFoundError: there is no such file.
        Conflict: the file was changed meanwhile, for example by a second edit inside the first.
    """
    name = shown or str(path)
    text = _read(path, name)
    value = load(text, name)
    yield value
    changed = apply(text, value, name)
    if changed == text:
        return
    if _read(path, name) != text:
        raise changed_meanwhile(name)
    # Bytes that are no UTF-8 were read as lone surrogates and become bytes again here.
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        file.write(changed)


def _read(path: Path, shown: str) -> str:
    try:
        with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            return file.read()
    except FileNotFoundError:
        raise missing(shown) from None


def changed_meanwhile(shown: str) -> Conflict:
    """Return the error for a file that is not as it was when its edit began."""
    return Conflict(
        f"{shown} was changed while it was being edited",
        hint="Make all changes of one file in one edit of it.",
        file=shown,
    )


def missing(shown: str) -> FileNotFoundError:
    """Return the error for a file that is to be edited and is not there."""
    return FileNotFoundError(
        f"There is no file {shown} to edit; check that it exists, or write it first"
    )
