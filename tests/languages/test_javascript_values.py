"""Values between Python and JavaScript: nothing is lost on the way, and nothing seems changed."""

import copy
import json
import math

from hypothesis import example, given
from hypothesis import strategies as st

from plugin_migrate.editing.tree import EditableDict, fingerprint
from plugin_migrate.languages.javascript.values import decode, encode, merge

KEYS = st.text(max_size=4) | st.sampled_from(["0", "7", "10", "01", "$i", "$f", "$o", "a", "b"])
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary()
)
IN_FILES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
DOCUMENTS = st.recursive(
    IN_FILES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


def editable(value):
    """Return a value as the editors hand it out."""
    if isinstance(value, dict):
        return EditableDict((key, editable(item)) for key, item in value.items())
    return [editable(item) for item in value] if isinstance(value, list) else value


def through_javascript(value):
    """Return what a value is once JavaScript had it in its hands."""
    if isinstance(value, dict):
        moved = sorted((key for key in value if is_index(key)), key=int)
        keys = moved + [key for key in value if not is_index(key)]
        return {key: through_javascript(value[key]) for key in keys}
    if isinstance(value, list):
        return [through_javascript(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def is_index(key):
    return key in ("0", "7", "10") or (key.isascii() and key.isdigit() and str(int(key)) == key)


@given(st.lists(SCALARS) | DOCUMENTS)
@example({"$i": {"$o": 1}})
@example([2**53, -(2**53), 2**53 - 1, math.nan, math.inf, -math.inf, b""])
def test_what_was_encoded_is_decoded_to_the_same(value):
    there = json.loads(json.dumps(encode(value), allow_nan=False))
    assert repr(decode(there)) == repr(value)


@given(DOCUMENTS)
@example({"b": 1.0, "10": 2, "7": [1e300, -0.0, {"x": 5.0}]})
def test_what_its_author_left_alone_stays_as_it_was(value):
    old = editable(value)
    before = fingerprint(old)
    assert merge(old, through_javascript(copy.deepcopy(value))) is old
    assert fingerprint(old) == before


@given(DOCUMENTS, DOCUMENTS)
@example({"a": 1.0, "b": 2}, {"c": 1, "b": 2})
@example([{"a": 1.0}, 2], [0, {"a": 1}, 2])
def test_what_its_author_changed_is_what_comes_out(value, other):
    merged = merge(editable(value), through_javascript(other))
    assert through_javascript(plain(merged)) == through_javascript(other) or has_nan(other)


def plain(value):
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def has_nan(value):
    return "nan" in repr(value)


def test_a_key_that_took_anothers_place_is_renamed():
    old = editable({"a": {"x": 1.0}, "b": 2})
    assert merge(old, {"new": {"x": 1}, "b": 2}) is old
    assert list(old.items()) == [("new", {"x": 1.0}), ("b", 2)]
    assert old.original_keys == {"new": "a"}


def test_a_moved_item_is_the_old_one() -> None:
    """JavaScript writes 1.0 as 1; that is no change of its author."""
    old = editable([1.0, {"a": 2.0}, "x", 3.0])

    merged = merge(old, [3, "x", {"a": 2}, 1])

    assert repr(plain(merged)) == "[3.0, 'x', {'a': 2.0}, 1.0]"
