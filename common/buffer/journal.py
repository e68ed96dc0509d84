"""What the loop does with a log: append, take, settle. Nothing here blocks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final, final

from common.buffer.books import Books
from common.buffer.disk import Disk
from common.buffer.events import Counters, Done, Event, Pending
from common.buffer.hands import Hands
from common.buffer.index import Run
from common.buffer.reading import Damage, Payload, read
from common.buffer.records import MAX_POINTS, Record
from common.buffer.segment import IN_HAND, UNREAD
from common.buffer.writing import Writer
from common.config import outputs
from common.wire import otlp

_PATIENCE: Final = (0.5, 1.0, 2.0, 4.0)  # seconds until a read that failed is tried again


@final
class Log:
    """Records in order, each unread, in hand or settled. Made and run by `log.opening`."""

    def __init__(
        self,
        books: Books,
        writer: Writer,
        hands: Hands,
        disk: Disk,
        *,
        folder: Path,
        settings: outputs.Buffer,
        now: Callable[[], float],
        max_unwritten: int,
    ) -> None:
        self.folder = folder
        self.books = books
        """What is known of every record, and the counters of what happened to them."""
        self.refused = 0
        """Appends answered with -1."""
        self._writer, self._hands, self._disk, self._now = writer, hands, disk, now
        self._settings, self._max_unwritten = settings, max_unwritten
        self._closed = self._ended = False
        self._turn = asyncio.Lock()  # one reads at a time, so that what is taken keeps its order
        self._waiting: set[asyncio.Future[None]] = set()

    # How it stands

    @property
    def failing(self) -> str:
        """Why the disk takes nothing at present; empty if it does."""
        return self.books.failing

    @property
    def unread(self) -> int:
        """Records that `take` can return; what is not written yet is not among them."""
        return self.books.index.unread

    @property
    def unread_points(self) -> int:
        """Points in these."""
        return self.books.index.unread_points

    @property
    def points(self) -> int:
        """Points on disk, or on their way to it, that are not settled."""
        return self.books.points

    @property
    def bytes_on_disk(self) -> int:
        """Bytes of all segments, what is reserved for more in the last of them included."""
        return self.books.index.size

    @property
    def unwritten(self) -> int:
        """Bytes appended that are not known to be on disk yet."""
        return self.books.unwritten

    @property
    def oldest_age(self) -> float:
        """Seconds since the oldest record that is not settled was appended; 0.0 if all are."""
        return self.books.oldest_age()

    @property
    def recovered_points(self) -> int:
        """Points found at opening, those included of which `lost` was told while it was opened."""
        return self.books.recovered_points

    @property
    def corrupt_records(self) -> int:
        """Records that turned out not to be what was written, at opening or when taken."""
        return self.books.corrupt_records

    @property
    def deleted_segments(self) -> Mapping[str, int]:
        """Segments deleted: ``delivered``, or the `DropReason` for which they went."""
        return self.books.deleted_segments

    @property
    def counters(self) -> Counters:
        """What the writer did."""
        return self._writer.counters

    # What can be done

    def append(
        self,
        body: otlp.Encoded,
        points: int,
        spans: otlp.Spans = (),
        *,
        in_hand: bool,
        written: Callable[[bool], None] | None = None,
    ) -> int:
        """Have *body* written, and return its number; never wait.

        With *in_hand* the caller keeps it in memory and settles it; otherwise `take` returns it
        some time. *written* is called on the loop once, as soon as the record is as safe as the
        policy wants it, or is known not to become so; in the latter case `failed` is given what is
        not in hand. -1 is returned, and nothing taken, while the disk fails or has more than
        *max_unwritten* bytes to write, and for a body larger than the whole buffer.
        """
        if not 0 <= points <= MAX_POINTS:
            raise RuntimeError(f"BUG: a record of {points} points; at most {MAX_POINTS} fit")
        books = self.books
        waiting = books.unwritten
        full = waiting and waiting + len(body) > self._max_unwritten
        if full or self._closed or books.failing:
            self.refused += 1
            return -1
        state = IN_HAND if in_hand else UNREAD
        pending = Pending(
            number=books.next,
            body=body,
            points=points,
            spans=spans,
            at=self._now(),
            state=state,
            written=written,
        )
        if pending.size > self._settings.max_bytes:
            self.refused += 1
            return -1
        books.expect(pending)
        self._writer.queue.append(pending)
        self._hands.wake()
        return pending.number

    async def take(self, max_bytes: int, *, newest: bool) -> list[Record]:
        """Return unread records of about *max_bytes*, in hand from now on; none if there are none.

        The oldest come first, or those of the newest segment, in order within a segment. What
        turned bad on disk is settled and reported; while the disk does not answer, it is tried
        again for 7.5 s before that.
        """
        async with self._turn:
            while runs := self.books.index.pick(max_bytes, newest=newest):
                try:
                    found = [await self._read(run) for run in runs]
                except BaseException:  # most likely cancelled: nobody will have them in hand
                    self.books.unpick(runs)
                    raise
                taken = [
                    record
                    for run, payloads in zip(runs, found, strict=True)
                    for record in self.books.taken(run, payloads)
                ]
                self._discard()
                if taken:
                    return taken
        return []

    def settle(self, number: int) -> None:
        """Never read record *number* again: its fate is certain.

        Nothing happens to one that is settled, was lost with its segment, or was never written.
        """
        self.books.settle(number)
        if self.books.rubbish:
            self._discard()

    def give_back(self) -> frozenset[int]:
        """Make unread all records in hand; whoever had them forgets them.

        Returns the numbers of those that cannot be, for they are not on disk any more: only the
        caller has them, and they are the caller's to account for.
        """
        return self.books.give_back()

    async def flush(self) -> None:
        """Wait until all that was appended, and what was settled, is written and synchronised.

        While the disk fails this returns as well: what could not be written was reported.
        """
        await self._ordered(self._writer.sync)
        await self._ordered(self._cursor(sync=True))

    def configure(self, settings: outputs.Buffer) -> None:
        """Go by other *settings* from now on; segments that exist keep their size."""
        self._settings = settings
        self._writer.configure(settings)

    # What runs it

    async def work(self) -> None:
        """Run the writer until closed."""
        try:
            writer = self._writer
            await self._hands.write(writer.work, lambda: writer.stopped, lambda: writer.gather)
        finally:
            self._ended = True
            for future in self._waiting:
                future.cancel()

    def hear(self, told: Sequence[Event]) -> None:
        """Book what the writer did, in order."""
        for event in told:
            if isinstance(event, Done):
                event.then()
            else:
                self.books.hear(event)
        if self.books.ticked and not self._closed:
            self.books.ticked = False
            self.books.expire(self._settings.max_age)
            if self.books.moved:
                order = self._cursor(sync=self._settings.sync != "none")
                self._writer.orders.append((order, nothing))
                self._hands.wake()
        self._discard()

    def begin(self) -> None:
        """Delete what is too old, too much or done with from the beginning."""
        self.books.expire(self._settings.max_age)
        self.books.shrink(self._settings.max_bytes)
        self._discard()

    async def close(self) -> None:
        """Take no more; have all on disk, and close the files."""
        self._closed = True
        if self._ended:
            return
        try:
            await self._ordered(self._writer.finish)  # if all in it is settled, it goes as well
            await self.flush()
        finally:
            await self._ordered(self._writer.stop)

    def _cursor(self, *, sync: bool) -> Callable[[], None]:
        self.books.moved = False
        settled = self.books.snapshot()
        return partial(self._writer.put_cursor, settled, sync=sync)

    def _discard(self) -> None:
        if self.books.rubbish:
            self._writer.discards.extend(self.books.rubbish)
            self.books.rubbish.clear()
            self._hands.wake()

    async def _ordered(self, order: Callable[[], None]) -> None:
        if self._ended:
            return
        future = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        self._writer.orders.append((order, partial(_resolve, future)))
        self._hands.wake()
        try:
            await future
        finally:
            self._waiting.discard(future)

    async def _read(self, run: Run) -> Sequence[Payload | Damage]:
        job = partial(read, self.folder, self._disk, run)
        found = await self._hands.call(job)
        for pause in _PATIENCE:
            if not any(isinstance(one, Damage) and one.passing for one in found):
                break
            await asyncio.sleep(pause)
            found = await self._hands.call(job)
        return found


def nothing() -> None:
    """Tell nobody."""


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
