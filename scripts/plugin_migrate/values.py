"""``typing.NamedTuple`` for the values of the hot path.

Importing `typing` costs 4 ms, and every class made by `collections.namedtuple` 0.09 ms, because its
constructor is compiled at each start: 2 ms for the twenty that an upgrade defines. Here they share
one, and take 0.01 ms each. (A frozen dataclass takes 0.6.)
"""

from __future__ import annotations

from collections import _tuplegetter  # type: ignore[attr-defined]

__all__ = ["NamedTuple"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple
else:

    class _Named(tuple):
        """What all named tuples do alike; see `collections.namedtuple` for the methods."""

        __slots__ = ()

        @classmethod
        def _completed(cls, values, named):
            left = cls._fields[len(values) :]
            known = {**cls._field_defaults, **named}
            missing = [field for field in left if field not in known]
            unexpected = [field for field in named if field not in left]
            if missing or unexpected or len(values) > len(cls._fields):
                raise TypeError(
                    f"{cls.__name__}({', '.join(cls._fields)}): {len(values)} given by place,"
                    f" missing: {missing}, unexpected: {unexpected}"
                )
            return (*values, *(known[field] for field in left))

        def _asdict(self):
            return dict(zip(self._fields, self, strict=True))

        def _replace(self, **named):
            return type(self)(**{**self._asdict(), **named})

        def __repr__(self):
            fields = ", ".join(f"{field}={value!r}" for field, value in self._asdict().items())
            return f"{type(self).__name__}({fields})"

        def __getnewargs__(self):  # for copies and pickles
            return tuple(self)

    def _constructor(count):
        new = tuple.__new__  # what every instance needs is at hand here

        def __new__(cls, *values, **named):  # noqa: N807 - it becomes one
            if named or len(values) != count:
                values = cls._completed(values, named)
            return new(cls, values)

        return __new__

    class _Definition(type):
        """Turns a class with annotated fields into a named tuple with its methods and defaults."""

        def __new__(cls, name, bases, body):
            if not bases:
                return super().__new__(cls, name, bases, body)
            fields = tuple(body.get("__annotations__", ()))
            own = {
                "__new__": _constructor(len(fields)),
                "__slots__": (),
                "__match_args__": fields,
                "_fields": fields,
                "_field_defaults": {field: body[field] for field in fields if field in body},
            }
            getters = {field: _tuplegetter(place, "") for place, field in enumerate(fields)}
            return type(name, (_Named,), {**body, **own, **getters})

    class NamedTuple(metaclass=_Definition):
        """A tuple with named, typed fields; written like ``typing.NamedTuple``."""
