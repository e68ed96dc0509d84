"""All segments of a log: what is unread, what is settled, what has to go."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import final

from common.buffer import cursor
from common.buffer.segment import IN_HAND, READING, SETTLED, UNREAD, Segment


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Records that lie side by side in one file: indices from *start* to before *stop*."""

    segment: Segment
    start: int
    stop: int


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """What was in a segment that is no more."""

    lost: int  # points of records that nobody had in hand
    in_hand: tuple[tuple[int, int], ...]  # number and points of each that somebody has


class Index:
    """The state of every record on disk; knows nothing of files, threads or clocks."""

    def __init__(self, segments: Iterable[Segment] = ()) -> None:
        self.segments: dict[int, Segment] = {}  # by first number, in order
        self._firsts: list[int] = []
        self.unread = self.unread_points = self.points = self.size = 0
        for segment in segments:
            self.add(segment)

    def add(self, segment: Segment) -> None:
        """Take in a segment whose numbers are above all others'."""
        self.segments[segment.first] = segment
        self._firsts.append(segment.first)
        self._count(segment, 1)

    def append(
        self, first: int, offset: int, end: int, *, points: int, stamp: int, state: int
    ) -> None:
        """Add a record to the segment that begins with *first*."""
        self.segments[first].add(offset, end, points, stamp, state)
        if state != SETTLED:
            self.points += points
            if state == UNREAD:
                self.unread += 1
                self.unread_points += points

    def resize(self, first: int, size: int) -> Segment:
        """Note that a segment is complete, and takes *size* bytes on disk; return it."""
        segment = self.segments[first]
        self.size += size - segment.size
        segment.size, segment.sealed = size, True
        return segment

    def find(self, number: int) -> tuple[Segment, int] | None:
        """Return where record *number* is, and its index there; ``None`` if it is not on disk."""
        at = bisect_right(self._firsts, number) - 1
        if at < 0:
            return None
        segment = self.segments[self._firsts[at]]
        index = number - segment.first
        return (segment, index) if index < len(segment) else None

    def move(self, segment: Segment, index: int, state: int) -> None:
        """Give a record another *state*; nothing happens to one that is settled."""
        before = segment.states[index]
        if before in (SETTLED, state):
            return
        segment.move(index, state)
        points = segment.points[index]
        if before == UNREAD:
            self.unread -= 1
            self.unread_points -= points
        if state == UNREAD:
            self.unread += 1
            self.unread_points += points
        elif state == SETTLED:
            self.points -= points

    def pick(self, max_bytes: int, *, newest: bool) -> list[Run]:
        """Choose unread records of about *max_bytes*, one at least, and mark them as being read.

        The oldest come first, or those of the newest segment, in order within a segment.
        """
        runs: list[Run] = []
        room = max_bytes
        segments = self.segments.values()
        for segment in reversed(segments) if newest else segments:
            at = 0
            while segment.unread and (room > 0 or not runs):
                start, stop = segment.run(at, room)
                size = segment.behind(stop - 1) - segment.offsets[start]
                if runs and size > room:
                    return runs
                for index in range(start, stop):
                    self.move(segment, index, READING)
                runs.append(Run(segment=segment, start=start, stop=stop))
                room -= size
                at = stop
            if room <= 0:
                break
        return runs

    def give_back(self) -> None:
        """Make unread all that is in hand."""
        for segment in self.segments.values():
            self._count(segment, -1)
            segment.give_back()
            self._count(segment, 1)

    def drop(self, first: int) -> Gone:
        """Forget the segment that begins with *first*, and say what was in it."""
        segment = self.segments.pop(first)
        self._firsts.remove(first)
        self._count(segment, -1)
        if segment.unsettled == segment.unread:
            return Gone(lost=segment.unsettled_points, in_hand=())
        held = [
            (first + index, segment.points[index])
            for index, state in enumerate(segment.states)
            if state == IN_HAND
        ]
        lost = segment.unsettled_points - sum([points for _, points in held])
        return Gone(lost=lost, in_hand=tuple(held))

    def expired(self, now: float, max_age: float) -> list[int]:
        """Return the sealed segments whose youngest record is older than *max_age* seconds."""
        return [
            first
            for first, segment in self.segments.items()
            if segment.sealed and now - segment.youngest() > max_age
        ]

    def done(self) -> list[int]:
        """Return the sealed segments in which everything is settled."""
        return [
            first
            for first, segment in self.segments.items()
            if segment.sealed and not segment.unsettled
        ]

    def oldest(self) -> tuple[Segment, int] | None:
        """Return where the first record that is not settled is; ``None`` if all are."""
        for segment in self.segments.values():
            if segment.unsettled:
                return segment, segment.oldest()
        return None

    def snapshot(self, *, low: int, following: int) -> cursor.Cursor:
        """Return what is settled.

        What is on disk has numbers below *low*, and no record has *following* or a higher one.
        """
        found = self.oldest()
        low = found[0].first + found[1] if found else low
        return cursor.Cursor(low=low, next=following, settled=cursor.bounded(self._settled(low)))

    def apply(self, settled: cursor.Cursor) -> None:
        """Settle what a former process had settled."""
        ranges = ((0, settled.low), *settled.settled)
        for segment in self.segments.values():
            self._count(segment, -1)
            for start, end in ranges:
                segment.settle(start - segment.first, end - segment.first)
            self._count(segment, 1)

    def _settled(self, low: int) -> Iterator[tuple[int, int]]:
        for segment in self.segments.values():
            if segment.unsettled != len(segment) and segment.first + len(segment) > low:
                yield from ((start, end) for start, end in segment.settled() if end > low)

    def _count(self, segment: Segment, sign: int) -> None:
        self.unread += sign * segment.unread
        self.unread_points += sign * segment.unread_points
        self.points += sign * segment.unsettled_points
        self.size += sign * segment.size


def doomed(sizes: Sequence[int], room: int, max_bytes: int) -> int:
    """Return how many segments, oldest first, must go so that *room* bytes more fit.

    *sizes* are bytes on disk, oldest first; all of them go if even that does not suffice.
    """
    excess = sum(sizes) + room - max_bytes
    count = 0
    while excess > 0 and count < len(sizes):
        excess -= sizes[count]
        count += 1
    return count
