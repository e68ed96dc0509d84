"""A destination's part of the durable buffer: what goes there, and what is had from there again."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from typing import Final, Protocol, final

from common.config import outputs
from common.exporters.loads import Load, Piece, Receipt
from common.service.ledger import DropReason
from common.wire import otlp

READ_BYTES: Final = 4 << 20  # of the buffer at a time


class Record(Protocol):
    """See :class:`common.buffer.log.Record`."""

    @property
    def number(self) -> int: ...  # noqa: D102 - the protocol's names say it
    @property
    def body(self) -> otlp.Encoded: ...  # noqa: D102
    @property
    def points(self) -> int: ...  # noqa: D102
    @property
    def spans(self) -> otlp.Spans: ...  # noqa: D102
    @property
    def age(self) -> float: ...  # noqa: D102


class Log(Protocol):
    """What delivery wants of :class:`common.buffer.log.Log`."""

    @property
    def unread(self) -> int: ...  # noqa: D102 - the protocol's names say it
    @property
    def points(self) -> int: ...  # noqa: D102
    @property
    def bytes_on_disk(self) -> int: ...  # noqa: D102
    @property
    def oldest_age(self) -> float: ...  # noqa: D102
    @property
    def failing(self) -> str: ...  # noqa: D102

    def append(
        self,
        body: otlp.Encoded,
        points: int,
        spans: otlp.Spans,
        *,
        in_hand: bool,
        written: Callable[[bool], None] | None,
    ) -> int:
        """Take a request to be written; return its number, or -1 if it cannot be taken."""
        ...

    def take(self, max_bytes: int, *, newest: bool) -> Awaitable[Sequence[Record]]:
        """Return records that nobody has in hand."""
        ...

    def settle(self, number: int) -> None:
        """Note that the fate of a record is certain."""
        ...

    def give_back(self) -> Collection[int]:
        """Let everything in hand be taken again; return the numbers of what is not on disk."""
        ...


class Lease(Protocol):
    """A log that outlives its destination: the next one of the same pipeline gets it.

    Both may append; only the one whose turn it is may take, and settle.
    """

    @property
    def log(self) -> Log: ...  # noqa: D102 - the protocol's names say it
    @property
    def wanted(self) -> asyncio.Event:
        """Set while another destination waits for its turn."""
        ...

    def turn(self) -> Awaitable[None]:
        """Wait until the destination before this one has ended."""
        ...

    def listen(
        self,
        lost: Callable[[int, DropReason, str], None],
        failed: Callable[[Sequence[Record]], None],
    ) -> None:
        """Tell *lost* what was deleted unsent, and *failed* what could not be written."""
        ...


@final
class Storage:
    """Decides what of a stream of requests is delivered from memory, and what from disk.

    *room* says how many bytes memory may take now, of its *queue_bytes*; *add* puts pieces there;
    *looked* is called whenever there is nothing more to read at present.

    Oldest first, requests go by memory as long as nothing older is on disk only. Newest first, they
    do as long as there is room, of which half is kept for them.
    """

    __slots__ = (
        "_add", "_in_hand", "_kept", "_later", "_lease", "_least", "_looked", "_max_bytes", "_mine",
        "_newest", "_next", "_now", "_outstanding", "_reading", "_room", "_stir", "_unwritten",
        "later_bytes",
    )  # fmt: skip

    def __init__(
        self,
        lease: Lease,
        *,
        settings: outputs.Buffer,
        queue_bytes: int,
        room: Callable[[], int],
        add: Callable[[Piece, otlp.Spans], None],
        looked: Callable[[], None],
        now: Callable[[], float],
    ) -> None:
        self._lease, self._max_bytes = lease, settings.max_bytes
        self._newest = settings.order == "newest"
        self._kept = queue_bytes // 2 if self._newest else 0  # bytes that a backlog does not take
        self._least = min(READ_BYTES, queue_bytes // 4)  # reading less would not be worth it
        self._room, self._add, self._looked, self._now = room, add, looked, now
        self._mine = self._reading = False
        self._stir = asyncio.Event()
        self._outstanding: dict[int, Receipt] = {}
        self._in_hand = 0  # points of these
        # What the disk did not take has its turn between the records that it did take: each with
        # the number of the one behind it.
        self._later: deque[tuple[int, Piece, otlp.Spans]] = deque()
        self._next = 0  # number of the next record
        self._unwritten = 0  # records on their way to disk that memory does not have
        self.later_bytes = 0
        """Bytes in memory that wait for what is on disk to be sent."""

    @property
    def log(self) -> Log:
        """The log."""
        return self._lease.log

    @property
    def wanted(self) -> asyncio.Event:
        """Set while another destination waits for the log."""
        return self._lease.wanted

    @property
    def behind(self) -> bool:
        """Whether there is something on disk, or on its way there, that memory does not have."""
        return bool(self._later) or not self._mine or self._reading or self._has_more()

    def has_room(self, size: int) -> bool:
        """Say whether *size* bytes more fit the disk without older ones being deleted."""
        return self.log.bytes_on_disk + size <= self._max_bytes

    def offer(
        self,
        body: otlp.Encoded,
        points: int,
        spans: otlp.Spans,
        written: Callable[[bool], None] | None,
    ) -> bool:
        """Take a request that the ledger holds; say no if the disk does not take it."""
        direct = self._mine and len(body) <= self._room() and (self._newest or not self.behind)
        told = written if direct else self._stirring(written)
        number = self.log.append(body, points, spans, in_hand=direct, written=told)
        if number < 0:
            return False
        self._next = number + 1
        if not direct:
            self._unwritten += 1
        else:
            self._hand(number, body, points, spans, self._now(), backlog=False)
        return True

    def keep(self, piece: Piece, spans: otlp.Spans) -> None:
        """Take what the disk does not take, and memory has room for; it does not overtake."""
        if self._newest or not self.behind:
            self._add(piece, spans)
        else:
            self._later.append((self._next, piece, spans))
            self.later_bytes += len(piece.body)
            self._stir.set()

    def done(self, load: Load) -> None:
        """Settle what *load* had the last pieces of."""
        for piece in load.pieces:
            receipt = piece.receipt
            if receipt is None:
                continue
            receipt.left -= piece.points
            if not receipt.left:
                del self._outstanding[receipt.number]
                self._in_hand -= receipt.points
                self.log.settle(receipt.number)
        self._stir.set()

    def leave(self, interrupted: Iterable[Load]) -> tuple[int, int]:
        """Give back all that is not settled.

        Returns the points of it that are booked already, and will be sent a second time, for a
        record is settled as a whole or not at all; and points that are lost, for the disk does not
        have them any more, or never had.
        """
        gone = self.log.give_back() if self._mine else ()
        self._mine = False
        again = lost = 0
        for receipt in self._outstanding.values():
            if receipt.number in gone:
                lost += receipt.left
            else:
                again += receipt.points - receipt.left
        for load in interrupted:
            backed = sum([piece.points for piece in load.pieces if piece.receipt is not None])
            again += backed - (load.left - load.unbacked)
        self._outstanding.clear()
        self._later.clear()
        self._in_hand = self.later_bytes = 0
        return again, lost

    async def feed(self) -> None:
        """Move what is on disk into memory as there is room, for ever; waits for its turn first."""
        await self._lease.turn()
        self._mine = True
        while True:
            # What waits for its turn takes none from what it waits for: else both would for ever.
            room = self._room() + self.later_bytes - self._kept
            if self.log.unread and room >= self._least:
                await self._read(min(READ_BYTES, room))
            elif self._later and not self._has_more():
                self._release(self._next)
            else:
                self._looked()
                self._stir.clear()
                await self._stir.wait()

    def _has_more(self) -> bool:
        # Not all in hand are on disk any more: what waits there may hide behind them.
        log = self._lease.log
        return bool(log.unread or self._unwritten) or log.points > self._in_hand

    def _release(self, number: int) -> None:
        """Send what has its turn before record *number*."""
        later = self._later
        while later and later[0][0] <= number:
            _, piece, spans = later.popleft()
            self.later_bytes -= len(piece.body)
            self._add(piece, spans)

    def _stirring(self, written: Callable[[bool], None] | None) -> Callable[[bool], None]:
        """Return *written*, which also says that there is something to read."""

        def told(well: bool) -> None:  # noqa: FBT001 - it is called back
            self._unwritten -= 1
            self._stir.set()
            if written is not None:
                written(well)

        return told

    async def _read(self, max_bytes: int) -> None:
        self._reading = True
        try:
            records = await self.log.take(max_bytes, newest=self._newest)
            for record in records:
                self._release(record.number)
                arrived = self._now() - record.age
                self._hand(
                    record.number, record.body, record.points, record.spans, arrived,
                    backlog=self._newest,
                )  # fmt: skip
        finally:
            self._reading = False

    def _hand(
        self,
        number: int,
        body: otlp.Encoded,
        points: int,
        spans: otlp.Spans,
        arrived: float,
        *,
        backlog: bool,
    ) -> None:
        receipt = Receipt(number, points, points)
        self._outstanding[number] = receipt
        self._in_hand += points
        self._add(Piece(body, points, arrived, receipt, backlog), spans)
