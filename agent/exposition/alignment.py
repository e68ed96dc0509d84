"""Which lines of a body are lines of the body before: the shape of a target that changes a little.

Two columns of fingerprints are compared as runs of equal ones. What is found is a guess that the
caller must prove.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Final, NamedTuple

import numpy as np

from agent.exposition.lines import Offsets, Words

_NEAR: Final = 8  # lines that are gone or new in a row, before all that follow are looked at
_AHEAD: Final = 256  # lines that are compared at once


class Run(NamedTuple):
    """*size* lines from *old* on in the one text are those from *new* on in the other."""

    old: int
    new: int
    size: int


def runs(old: Words, new: Words) -> list[Run]:
    """Return runs of equal fingerprints, ascending in both texts; nearly the most there are.

    Costs 3 µs for each difference; where many lines differ in a row, one pass in Python over all.
    """
    return _Search(old, new).run()


def lines(found: Sequence[Run], count: int) -> Offsets:
    """Return for each of *count* new lines the old one, or -1."""
    old_of = np.full(count, -1, np.int64)
    old, new, sizes = np.fromiter(chain.from_iterable(found), np.int64).reshape(-1, 3).T
    # Counting on, over all runs at once, is off by another constant in each of them.
    before = np.cumsum(sizes) - sizes
    counted = np.arange(int(sizes.sum()))
    old_of[counted + np.repeat(new - before, sizes)] = counted + np.repeat(old - before, sizes)
    return old_of


class _Search:
    def __init__(self, old: Words, new: Words) -> None:
        self._old, self._new = old, new
        # Behind their ends they differ, so that no comparison has to know where these are.
        self._old_ahead = np.concatenate((old, np.zeros(_AHEAD, np.uint64)))
        self._new_ahead = np.concatenate((new, np.ones(_AHEAD, np.uint64)))
        # One word of a view costs 40 ns, of an array 100.
        self._old_words, self._new_words = old.data, new.data
        self._positions: dict[int, int] | None = None

    def run(self) -> list[Run]:
        found: list[Run] = []
        most_old, most_new = len(self._old), len(self._new)
        i = j = 0
        while i < most_old and j < most_new:
            size = self._equal(i, j)
            if size:
                found.append(Run(i, j, size))
                i, j = i + size, j + size
                if i == most_old or j == most_new:
                    break
            step = self._near(i, j) or self._far(i, j)
            if step is None:
                break
            i, j = step
        return found

    def _equal(self, i: int, j: int) -> int:
        # How many lines from here on are equal.
        old, new = self._old_ahead, self._new_ahead
        at = 0
        while True:
            differ = old[i + at : i + at + _AHEAD] != new[j + at : j + at + _AHEAD]
            first = int(differ.argmax())
            if differ[first]:
                # A last line may have the number that stands behind the other text.
                return min(at + first, len(self._old) - i, len(self._new) - j)
            at += _AHEAD

    def _near(self, i: int, j: int) -> tuple[int, int] | None:
        old, new = self._old_words, self._new_words
        if j + 1 < len(new) and old[i] == new[j + 1]:  # mostly it is one line
            return i, j + 1
        if i + 1 < len(old) and old[i + 1] == new[j]:
            return i + 1, j
        old, new = old[i : i + _NEAR + 1], new[j : j + _NEAR + 1]
        for distance in range(2, len(old) + len(new) - 1):
            for gone in range(max(0, distance + 1 - len(new)), min(distance + 1, len(old))):
                if old[gone] == new[distance - gone]:
                    return i + gone, j + distance - gone
        return None

    def _far(self, i: int, j: int) -> tuple[int, int] | None:
        if self._positions is None:  # of each fingerprint: its last line
            self._positions = {found: at for at, found in enumerate(self._new.tolist())}
        for at, found in enumerate(self._old[i:].tolist(), i):
            there = self._positions.get(found, -1)
            if there >= j:
                return at, there
        return None
