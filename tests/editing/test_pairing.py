"""Which item of a list has become which."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugin_migrate.editing.pairing import pair

LISTS = st.lists(st.sampled_from("abcd"), max_size=8)


@pytest.mark.parametrize(
    ("before", "after", "places"),
    [
        ("abc", "abc", [0, 1, 2]),
        ("abc", "bca", [1, 2, 0]),
        ("abc", "cab", [2, 0, 1]),
        ("abcd", "dcba", [3, 2, 1, 0]),
        ("abc", "axc", [0, 1, 2]),
        ("abc", "ac", [0, 2]),
        ("ab", "axb", [0, None, 1]),
        ("abc", "cxy", [2, None, None]),
        ("aa", "aaa", [0, 1, None]),
        ("", "ab", [None, None]),
        ("ab", "", []),
    ],
)
def test_items_are_found_again(before: str, after: str, places: list[int | None]) -> None:
    assert pair(before, after) == places


@given(LISTS, LISTS)
def test_every_item_that_is_in_both_lists_is_found_once(
    before: list[str], after: list[str]
) -> None:
    places = pair(before, after)
    kept = [place for place in places if place is not None]

    assert len(places) == len(after)
    assert len(set(kept)) == len(kept)
    assert set(kept) <= set(range(len(before)))
    equal = sum(
        place is not None and before[place] == item
        for item, place in zip(after, places, strict=True)
    )
    assert equal == (Counter(before) & Counter(after)).total()
