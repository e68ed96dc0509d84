"""Which lines of a body are lines of the body before: the shape of a target that changes a little.

Two columns of fingerprints are compared as runs of equal ones. What is found is a guess that the
caller must prove.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from agent.exposition.lines import Offsets, Words

_NEAR: Final = 8  # lines that are gone or new in a row, before all that follow are looked at


class Run(NamedTuple):
    """*size* lines from *old* on in the one text are those from *new* on in the other."""

    old: int
    new: int
    size: int


def runs(old: Words, new: Words) -> list[Run]:
    """Return runs of equal fingerprints, ascending in both texts; nearly the most there are.

    Costs 10 ns a line for each distance between the texts, and 2 µs for each difference; where many
    lines differ in a row, one pass in Python over all lines.
    """
    return _Search(old, new).run()


def lines(found: Sequence[Run], count: int) -> Offsets:
    """Return for each of *count* new lines the old one, or -1."""
    old_of = np.full(count, -1, np.int64)
    for old, new, size in found:
        old_of[new : new + size] = np.arange(old, old + size)
    return old_of


class _Search:
    def __init__(self, old: Words, new: Words) -> None:
        self._old, self._new = old, new
        self._breaks: dict[int, list[int]] = {}
        self._positions: dict[int, int] | None = None

    def run(self) -> list[Run]:
        found: list[Run] = []
        i = j = 0
        while i < len(self._old) and j < len(self._new):
            size = self._equal(i, j)
            if size:
                found.append(Run(i, j, size))
                i, j = i + size, j + size
                continue
            step = self._near(i, j) or self._far(i, j)
            if step is None:
                break
            i, j = step
        return found

    def _equal(self, i: int, j: int) -> int:
        # How many lines from here on are equal. Few distances between the two texts occur, and come
        # back: where lines differ at one of them is looked up once.
        breaks = self._breaks.get(j - i)
        if breaks is None:
            breaks = self._breaks[j - i] = self._differing(i, j)
        return breaks[bisect_left(breaks, i)] - i

    def _differing(self, i: int, j: int) -> list[int]:
        before = min(i, j)  # at this distance, from the first lines on
        i, j = i - before, j - before
        most = min(len(self._old) - i, len(self._new) - j)
        differ = np.flatnonzero(self._old[i : i + most] != self._new[j : j + most]) + i
        return [*differ.tolist(), i + most]

    def _near(self, i: int, j: int) -> tuple[int, int] | None:
        old = self._old[i : i + _NEAR + 1].tolist()
        new = self._new[j : j + _NEAR + 1].tolist()
        for distance in range(1, len(old) + len(new) - 1):
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
