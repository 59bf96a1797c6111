"""Reading what a JSON file says is applied: a list, or the number or name of the last one."""

from __future__ import annotations

from ..errors import TakeoverRefused
from ..plain_file import read_json
from ..platform import system
from .record import LONGEST_TEXT, MOST_RECORDS, Recorded, plain_record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LARGEST = 4 * 1024 * 1024


def read_state(path: str, key: str | None) -> Recorded:
    """Return what the JSON document at ``path`` says is applied.

    Parameters:
        key: where the value is: a JSON pointer (``/state/applied``, RFC 6901) or keys joined by
            dots (``state.applied``); ``None`` for the whole document.

    Raises:
        TakeoverRefused: it cannot be read, the value is not there, or is neither a list nor a
            number nor a text.
    """
    try:
        document = read_json(path, _LARGEST)
    except OSError as error:
        raise _refused(path, f"The file cannot be read: {system.reason_of(error)}") from None
    except ValueError as error:  # also UnicodeDecodeError, and numbers of thousands of digits
        raise _refused(path, f"The file is not JSON: {str(error)[:200]}") from None
    value = document
    for part in _parts(key):
        value = _inside(value, part, path, key or "")
    where = f"'{key}'" if key else "the document"
    if isinstance(value, list):
        if len(value) > MOST_RECORDS:
            raise _refused(path, f"{where} lists more than {MOST_RECORDS:,} migrations")
        texts = [
            _text(item, path, f"item {place} of {where}") for place, item in enumerate(value, 1)
        ]
        return Recorded(tuple(map(plain_record, texts)))
    if type(value) is int and value == 0:
        return Recorded(is_last=True)
    return Recorded((plain_record(_text(value, path, where)),), is_last=True)


def _parts(key: str | None) -> list[str]:
    if not key:
        return []
    if key.startswith("/"):
        return [part.replace("~1", "/").replace("~0", "~") for part in key[1:].split("/")]
    return key.split(".")


def _inside(value: Any, part: str, path: str, key: str) -> Any:
    if isinstance(value, dict) and part in value:
        return value[part]
    is_place = isinstance(value, list) and part.isascii() and part.isdigit() and len(part) < 9
    if is_place and int(part) < len(value):
        return value[int(part)]
    raise _refused(path, f"The document has no '{key}': '{part}' is not there")


def _text(value: object, path: str, where: str) -> str:
    if type(value) is int and value >= 0:
        return str(value)
    if isinstance(value, str) and 0 < len(value) <= LONGEST_TEXT:
        return value
    kinds = {dict: "an object", list: "a list", type(None): "null", bool: "true or false"}
    kind = kinds.get(type(value), "no name or number of a migration")
    raise _refused(path, f"{where[:1].upper()}{where[1:]} is {kind}")


def _refused(path: str, message: str) -> TakeoverRefused:
    return TakeoverRefused(
        message,
        file=path,
        hint="Name a list of migrations' names or numbers, or the number or name of the last one:"
        " json:PATH#state.applied or json:PATH#/state/applied",
    )
