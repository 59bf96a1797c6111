"""``typing.NamedTuple`` without importing `typing`, for the values that every command makes.

`typing` takes 4 ms of a start, and the frozen dataclasses used elsewhere 8 ms for the module and
0.6 ms for each class. This is `collections.namedtuple` in the other's spelling.
"""

from __future__ import annotations

from collections import namedtuple

__all__ = ["NamedTuple"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple
else:

    class _Definition(type):
        """Turns a class with annotated fields into a subclass of a `namedtuple` with these."""

        def __new__(cls, name, bases, body):
            if not bases:
                return super().__new__(cls, name, bases, body)
            fields = tuple(body.get("__annotations__", ()))
            defaults = [body.pop(field) for field in fields if field in body]
            plain = namedtuple(name, fields, defaults=defaults)
            return type(name, (plain,), {"__slots__": (), **body})

    class NamedTuple(metaclass=_Definition):
        """A tuple with named, typed fields; written like ``typing.NamedTuple``."""
