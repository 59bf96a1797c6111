"""Our `NamedTuple` behaves like `typing`'s, which is what the type checker takes it for."""

import pickle
import typing

import pytest

from plugin_migrate import values


def define(named_tuple):
    class Point(named_tuple):
        """A place."""

        x: int
        y: "int | None" = None
        tags: tuple = ()

        @property
        def total(self):
            """Both together."""
            return self.x + (self.y or 0)

    return Point


OURS, THEIRS = define(values.NamedTuple), define(typing.NamedTuple)


@pytest.mark.parametrize(
    "make", [lambda kind: kind(1), lambda kind: kind(1, 2), lambda kind: kind(x=1, tags=("a",))]
)
def test_instances_are_the_same(make):
    ours, theirs = make(OURS), make(THEIRS)
    assert ours == theirs
    assert repr(ours) == repr(theirs)
    assert ours.total == theirs.total
    assert type(ours._replace(y=5)) is OURS
    assert OURS.__doc__ == THEIRS.__doc__


class Kept(values.NamedTuple):
    """At the top, where `pickle` can find it."""

    x: int
    y: int = 0


def test_an_instance_survives_pickling():
    again = pickle.loads(pickle.dumps(Kept(1, 2)))
    assert (again, type(again)) == (Kept(1, 2), Kept)


@pytest.mark.parametrize("kind", [OURS, THEIRS])
def test_instances_cannot_be_changed(kind):
    point = kind(1)
    with pytest.raises(AttributeError):
        point.x = 2
    with pytest.raises(AttributeError):
        point.z = 2


@pytest.mark.parametrize(
    ("by_place", "by_name"),
    [((), {}), ((1, 2, (), 4), {}), ((), {"y": 1}), ((1,), {"x": 2}), ((1,), {"z": 2})],
)
@pytest.mark.parametrize("kind", [OURS, THEIRS])
def test_a_field_too_few_or_too_many_is_refused(kind, by_place, by_name):
    with pytest.raises(TypeError):
        kind(*by_place, **by_name)
