"""What is known of every record of a log: booked on the loop as the writer tells of it."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, TypeAlias, assert_never, final

from common.buffer import cursor, events
from common.buffer.events import Pending, Told
from common.buffer.index import Index, Run, doomed
from common.buffer.reading import Damage, Payload
from common.buffer.records import Record
from common.buffer.recovery import Recovered
from common.buffer.segment import IN_HAND, READING, SETTLED, UNREAD, Segment
from common.service.ledger import DropReason

Lost: TypeAlias = Callable[[int, DropReason, str], None]
"""Told of points that will never be read again: how many, the reason, and why in words."""

DELIVERED: Final = "delivered"
_log = logging.getLogger("headgate.buffer")


@final
class Books:
    """The states of all records, and what follows from what happens to them."""

    def __init__(
        self,
        folder: Path,
        recovered: Recovered,
        *,
        now: Callable[[], float],
        lost: Lost,
        failed: Callable[[Sequence[Record]], None],
    ) -> None:
        self.index: Index = recovered.index
        self.next = recovered.next  # the number of the next record
        self.failing = ""
        self.recovered_points = recovered.points
        self.corrupt_records = recovered.corrupt_records
        """Records that turned out not to be what was written, at opening or when taken."""
        self.torn_bytes = recovered.torn_bytes
        """Bytes cut off at opening, where a former process was stopped while it wrote."""
        self.deleted_segments: Counter[str] = Counter()
        """Segments deleted: ``delivered``, or the `DropReason` for which they went."""
        self.unwritten = 0  # bytes appended, and not known to be on disk
        self.rubbish: list[int] = []  # segments to delete, by first number
        self.moved = True  # something was settled since the last cursor
        self.ticked = False
        self._pending: dict[int, Pending] = {}
        self._pending_points = 0  # where not settled
        self._adrift: dict[int, int] = {}  # points of records in hand that are not on disk any more
        self._folder, self._now, self._lost, self._failed = folder, now, lost, failed
        self._tell_of(recovered)

    @property
    def points(self) -> int:
        """Points on disk, or on their way to it, that are not settled."""
        return self.index.points + self._pending_points

    def oldest_age(self) -> float:
        """Return the seconds since the oldest record that is not settled was appended."""
        oldest = self.index.oldest()
        if oldest is not None:
            return max(0.0, self._now() - oldest[0].appended(oldest[1]))
        for pending in self._pending.values():
            if pending.state != SETTLED:
                return max(0.0, self._now() - pending.at)
        return 0.0

    def snapshot(self) -> cursor.Cursor:
        """Return what is settled."""
        following = next(iter(self._pending), self.next)
        return self.index.snapshot(following=self.next, low=following)

    def expect(self, pending: Pending) -> None:
        """Note that a record is on its way to the disk."""
        self._pending[pending.number] = pending
        self._pending_points += pending.points
        self.unwritten += pending.size
        self.next += 1

    def settle(self, number: int) -> None:
        """Settle a record, wherever it is."""
        found = self.index.find(number)
        if found is not None:
            segment, index = found
            self.index.move(segment, index, SETTLED)
            self.moved = True
            if segment.sealed and not segment.unsettled:
                self._delivered(segment)
        elif (pending := self._pending.get(number)) is not None:
            if pending.state != SETTLED:
                pending.state = SETTLED
                self._pending_points -= pending.points
        else:
            self._adrift.pop(number, None)

    def give_back(self) -> frozenset[int]:
        """Make unread what is in hand; return the numbers of what is not on disk any more."""
        self.index.give_back()
        for pending in self._pending.values():
            if pending.state == IN_HAND:
                pending.state = UNREAD
        adrift = frozenset(self._adrift)
        self._adrift.clear()
        return adrift

    def unpick(self, runs: Iterable[Run]) -> None:
        """Make unread what was to be read."""
        for run in runs:
            if self._is_there(run.segment):
                for index in range(run.start, run.stop):
                    if run.segment.states[index] == READING:
                        self.index.move(run.segment, index, UNREAD)

    def taken(self, run: Run, found: Sequence[Payload | Damage]) -> list[Record]:
        """Put what was read in hand; settle what is damaged, and report it."""
        segment = run.segment
        if not self._is_there(segment):
            return []  # deleted while it was read, and reported then
        taken: list[Record] = []
        now = self._now()
        for index, payload in enumerate(found, run.start):
            number, points = segment.first + index, segment.points[index]
            if isinstance(payload, Damage):
                self.corrupt_records += 1
                why = f"record {number} in {self._folder}: {payload.why}"
                self.settle(number)
                self._lose(points, DropReason.BUFFER_CORRUPT, why)
                continue
            self.index.move(segment, index, IN_HAND)
            record = Record(
                number=number,
                body=payload.body,
                points=points,
                spans=payload.spans,
                age=max(0.0, now - segment.appended(index)),
            )
            taken.append(record)
        return taken

    def expire(self, max_age: float) -> None:
        """Give up sealed segments whose youngest record is older than *max_age* seconds."""
        for first in self.index.expired(self._now(), max_age):
            why = f"on disk for more than {max_age:g} s; see buffer.max_age"
            self._drop(first, DropReason.BUFFER_EXPIRED, why)
            self.rubbish.append(first)

    def shrink(self, max_bytes: int) -> None:
        """Give up the oldest segments until all others take at most *max_bytes*."""
        sizes = [segment.size for segment in self.index.segments.values()]
        for first in list(self.index.segments)[: doomed(sizes, 0, max_bytes)]:
            self._full(first)
            self.rubbish.append(first)

    def hear(self, event: Told) -> None:
        """Book what the writer tells of."""
        match event:
            case events.Began(first, salt, base, anchor, size):
                segment = Segment(first, salt, base=base, anchor=anchor)
                segment.size = size
                self.index.add(segment)
            case events.Wrote():
                self._wrote(event)
            case events.Sealed(first, size):
                segment = self.index.resize(first, size)
                if not segment.unsettled:
                    self._delivered(segment)
            case events.Deleted(first):
                if first in self.index.segments:
                    self._full(first)
            case events.Failed(pending, why):
                self._unwritable(pending, why)
            case events.Failing(why):
                self._turned(why)
            case events.Tick():
                self.ticked = True
            case _ as never:
                assert_never(never)

    def _wrote(self, wrote: events.Wrote) -> None:
        offset = wrote.offset
        for pending in wrote.pending:
            self._arrived(pending)
            end = offset + pending.size
            stamp = events.stamp(pending.at, wrote.anchor)
            self.index.append(
                wrote.first,
                offset,
                end,
                points=pending.points,
                stamp=stamp,
                state=pending.state,
            )
            offset = end
            self.moved = self.moved or pending.state == SETTLED
        # Only now, since whoever is called may well append, settle or ask how things stand.
        for pending in wrote.pending:
            if pending.written is not None:
                pending.written(True)

    def _unwritable(self, pendings: Sequence[Pending], why: str) -> None:
        now = self._now()
        given_up: list[Record] = []
        for pending in pendings:
            self._arrived(pending)
            if pending.state == IN_HAND:
                self._adrift[pending.number] = pending.points
            elif pending.state == UNREAD:
                record = Record(
                    number=pending.number,
                    body=pending.body,
                    points=pending.points,
                    spans=pending.spans,
                    age=max(0.0, now - pending.at),
                )
                given_up.append(record)
        for pending in pendings:
            if pending.written is not None:
                pending.written(False)
        if given_up:
            self._failed(given_up)
        _log.debug("not written", extra={"records": len(pendings), "why": why})

    def _arrived(self, pending: Pending) -> None:
        del self._pending[pending.number]
        self.unwritten -= pending.size
        if pending.state != SETTLED:
            self._pending_points -= pending.points

    def _delivered(self, segment: Segment) -> None:
        self.index.drop(segment.first)
        self.deleted_segments[DELIVERED] += 1
        self.rubbish.append(segment.first)

    def _full(self, first: int) -> None:
        why = "the oldest segment went, to stay within buffer.max_bytes"
        self._drop(first, DropReason.BUFFER_FULL, why)

    def _drop(self, first: int, reason: DropReason, why: str) -> None:
        """Forget a segment; what is in hand goes on from memory."""
        gone = self.index.drop(first)
        self._adrift.update(gone.in_hand)
        self.deleted_segments[reason] += 1
        self.moved = True
        self._lose(gone.lost, reason, f"{why} ({self._folder})")

    def _lose(self, points: int, reason: DropReason, why: str) -> None:
        if points:
            self._lost(points, reason, why)

    def _turned(self, why: str) -> None:
        self.failing = why
        extra = {"folder": str(self._folder)}
        if why:
            _log.warning("the buffer's disk is failing", extra={**extra, "why": why})
        else:
            _log.warning("the buffer's disk works again", extra=extra)

    def _is_there(self, segment: Segment) -> bool:
        return self.index.segments.get(segment.first) is segment

    def _tell_of(self, recovered: Recovered) -> None:
        for segment in [self.index.segments[first] for first in self.index.done()]:
            self._delivered(segment)
        extra = {"folder": str(self._folder), "points": recovered.points}
        if recovered.points:
            _log.info("found in the buffer", extra={**extra, "records": self.index.unread})
        for why in recovered.unreadable:
            _log.warning("a segment cannot be read", extra={**extra, "why": why})
        if recovered.corrupt_records:
            records = recovered.corrupt_records
            _log.warning("corrupt records in the buffer", extra={**extra, "records": records})
            why = f"{records} records in {self._folder} are not what was written"
            self._lose(recovered.corrupt_points, DropReason.BUFFER_CORRUPT, why)
