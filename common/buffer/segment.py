"""What is known in memory of the records of one file: 13 bytes each, and a few sums."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator
from typing import Final, final

UNREAD: Final = 0
IN_HAND: Final = 1  # somebody has its body in memory, and will settle it or give it back
READING: Final = 2  # being read on somebody's behalf
SETTLED: Final = 3

_UNREAD = bytes((UNREAD,))
_SETTLED = bytes((SETTLED,))
_UNSETTLED = re.compile(b"[^" + _SETTLED + b"]", re.DOTALL)
_NOT_UNREAD = re.compile(b"[^" + _UNREAD + b"]", re.DOTALL)
_GIVEN_BACK = bytes((UNREAD, UNREAD, READING, SETTLED)) + bytes(range(4, 256))
_MOST = (1 << 32) - 1


@final
class Segment:
    """The records of a file, numbered without gaps from *first*.

    *base* is the stamp of the first record, in milliseconds since the Unix epoch, and *anchor* what
    to take from a stamp, in seconds, to have seconds on the clock that never jumps.
    """

    __slots__ = (
        "_begin",
        "anchor",
        "base",
        "end",
        "first",
        "offsets",
        "points",
        "salt",
        "sealed",
        "since",
        "size",
        "states",
        "unread",
        "unread_points",
        "unsettled",
        "unsettled_points",
    )

    def __init__(self, first: int, salt: int, *, base: int = 0, anchor: float = 0.0) -> None:
        self.first, self.salt, self.base, self.anchor = first, salt, base, anchor
        self.offsets = array("I")  # of each record in the file
        self.points = array("I")
        self.since = array("I")  # milliseconds from base
        self.states = bytearray()
        self.end = 0  # offset behind the last record
        self.size = 0  # bytes on disk, what is reserved included
        self.sealed = False  # nothing will be added
        self.unread = self.unread_points = 0
        self.unsettled = self.unsettled_points = 0
        self._begin = 0  # all before are neither unread nor unsettled

    def __len__(self) -> int:
        return len(self.states)

    def add(self, offset: int, end: int, points: int, stamp: int, state: int) -> None:
        """Add the record at ``offset:end`` of the file, with the next number."""
        self.offsets.append(offset)
        self.points.append(points)
        self.since.append(min(max(stamp - self.base, 0), _MOST))
        self.states.append(state)
        self.end = end
        if state != SETTLED:
            self.unsettled += 1
            self.unsettled_points += points
            if state == UNREAD:
                self.unread += 1
                self.unread_points += points

    def move(self, index: int, state: int) -> None:
        """Give record *index*, which is not settled, another *state*."""
        points, before = self.points[index], self.states[index]
        if before == UNREAD:
            self.unread -= 1
            self.unread_points -= points
        if state == UNREAD:
            self.unread += 1
            self.unread_points += points
            self._begin = min(self._begin, index)
        elif state == SETTLED:
            self.unsettled -= 1
            self.unsettled_points -= points
        self.states[index] = state

    def give_back(self) -> None:
        """Make unread what is in hand."""
        if self.unsettled == self.unread:
            return
        self.states = self.states.translate(_GIVEN_BACK)
        self._recount()

    def settle(self, start: int, stop: int) -> None:
        """Settle the records from index *start* to before *stop*, as far as there are any."""
        start, stop = max(start, 0), min(stop, len(self.states))
        if start < stop:
            self.states[start:stop] = _SETTLED * (stop - start)
            self._recount()

    def behind(self, index: int) -> int:
        """Return the offset behind record *index*."""
        return self.offsets[index + 1] if index + 1 < len(self.offsets) else self.end

    def run(self, start: int, max_bytes: int) -> tuple[int, int]:
        """Return the first unread records from *start* on that lie side by side, as a range.

        They take about *max_bytes* in the file, and are one at least; (0, 0) if there are none.
        """
        start = self.states.find(_UNREAD, start)
        if start < 0:
            return 0, 0
        found = _NOT_UNREAD.search(self.states, start)
        stop = found.start() if found else len(self.states)
        limit = self.offsets[start] + max_bytes
        if self.behind(stop - 1) <= limit:
            return start, stop
        low, high = start + 1, stop  # the most records that fit, by halving; one always does
        while low < high:
            middle = (low + high + 1) // 2
            if self.behind(middle - 1) <= limit:
                low = middle
            else:
                high = middle - 1
        return start, low

    def oldest(self) -> int:
        """Return the index of the first record that is not settled; their number if all are."""
        found = _UNSETTLED.search(self.states, self._begin)
        self._begin = found.start() if found else len(self.states)
        return self._begin

    def appended(self, index: int) -> float:
        """Return when record *index* was appended, on the clock that never jumps."""
        return (self.base + self.since[index]) / 1000 - self.anchor

    def youngest(self) -> float:
        """Return when the last record was appended; at the beginning of time if there is none."""
        return self.appended(len(self.since) - 1) if self.since else float("-inf")

    def settled(self) -> Iterator[tuple[int, int]]:
        """Yield the ranges of numbers that are settled, in order."""
        at = 0
        while (start := self.states.find(_SETTLED, at)) >= 0:
            found = _UNSETTLED.search(self.states, start)
            at = found.start() if found else len(self.states)
            yield self.first + start, self.first + at

    def _recount(self) -> None:
        pairs = list(zip(self.points, self.states, strict=True))
        unread = [points for points, state in pairs if state == UNREAD]
        unsettled = [points for points, state in pairs if state != SETTLED]
        self.unread, self.unread_points = len(unread), sum(unread)
        self.unsettled, self.unsettled_points = len(unsettled), sum(unsettled)
        self._begin = 0
