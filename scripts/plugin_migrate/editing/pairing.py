"""Which item of a list has become which, told from the list before and after a change."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Hashable, Iterator, Sequence
from difflib import SequenceMatcher


def pair(before: Sequence[Hashable], after: Sequence[Hashable]) -> list[int | None]:
    """Return for each item after the change its place before it; ``None`` for a new one.

    Equal items are paired, also when they have moved; what is left is paired by position between
    its neighbours. So a moved item keeps its text and its comments, and a changed one is entered.

    Parameters:
        before, after: stand-ins of the items, equal if they count as the same.
    """
    numbers: dict[Hashable, int] = {}  # like items have like numbers, which are quick to compare
    old = [numbers.setdefault(item, len(numbers)) for item in before]
    new = [numbers.setdefault(item, len(numbers)) for item in after]
    gaps = list(_gaps(old, new))
    moved = _moved(old, new, gaps)
    taken = set(moved.values())
    places: list[int | None] = []
    for left, right in gaps:
        places += range(left.start - (right.start - len(places)), left.start)
        rest = iter([place for place in left if place not in taken])
        places += [moved[at] if at in moved else next(rest, None) for at in right]
    return places + list(range(len(old) - (len(new) - len(places)), len(old)))


def _gaps(old: list[int], new: list[int]) -> Iterator[tuple[range, range]]:
    """Yield where the lists differ, as ranges of both."""
    shortest = min(len(old), len(new))
    start = next((i for i in range(shortest) if old[i] != new[i]), shortest)
    same = (i for i in range(shortest - start) if old[-1 - i] != new[-1 - i])
    end = next(same, shortest - start)
    # The matcher is quadratic for long lists of like items, so it gets only the middle.
    matcher = SequenceMatcher(None, old[start : len(old) - end], new[start : len(new) - end])
    for what, old_start, old_end, new_start, new_end in matcher.get_opcodes():
        if what != "equal":
            yield (
                range(start + old_start, start + old_end),
                range(start + new_start, start + new_end),
            )


def _moved(old: list[int], new: list[int], gaps: list[tuple[range, range]]) -> dict[int, int]:
    """Return where in ``old`` the items stood that are elsewhere in ``new``."""
    free: dict[int, deque[int]] = defaultdict(deque)
    for left, _ in gaps:
        for place in left:
            free[old[place]].append(place)
    places = [at for _, right in gaps for at in right]
    return {at: free[new[at]].popleft() for at in places if free[new[at]]}
