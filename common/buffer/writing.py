"""What the writer of a log does in its thread: append, synchronise, delete, survive errors.

It decides nothing about records. It tells what it did in events, in order, and the loop books them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeAlias, final

from common.buffer import cursor, events, folders
from common.buffer.active import Active, begin
from common.buffer.disk import Disk
from common.buffer.events import Event, Pending
from common.buffer.index import doomed
from common.buffer.upkeep import Upkeep
from common.config import outputs

RETRY: Final = 1.0  # seconds between two attempts while the disk fails
_GATHER: Final = 0.005  # seconds; 20 of 43 % of CPU that a buffer costs, at 600 requests a second
TICK: Final = 1.0  # seconds between two looks at what is too old, and between two cursors
_MOST_DIRTY: Final = 8 << 20  # bytes after which to synchronise early: short stalls, no long ones
_SPAN: Final = 16  # a segment is closed after max_age / 16, so that age is kept to within that

Order: TypeAlias = tuple[Callable[[], None], Callable[[], None]]


@final
class Writer:
    """Has the files of a log. Its deques may be appended to from the loop, all else is its own."""

    def __init__(
        self,
        folder: Path,
        settings: outputs.Buffer,
        disk: Disk,
        *,
        now: Callable[[], float],
        tell: Callable[[Sequence[Event]], None],
        segments: Sequence[tuple[int, int, int]],
        generation: int,
        lock: int,
    ) -> None:
        """Take over a folder of which the descriptor *lock* is the proof, and is closed at the end.

        *segments* are first number, salt and bytes of each, in order.
        """
        self.queue: deque[Pending] = deque()
        self.discards: deque[int] = deque()  # segments to delete, by first number
        self.orders: deque[Order] = deque()
        """What to do once all that was appended before is written, and whom to tell then."""
        self.counters = events.Counters()
        self.stopped = False
        self._folder, self._settings, self._disk = folder, settings, disk
        self._now, self._tell_loop = now, tell
        self._paths = {first: self._path(first, salt) for first, salt, _ in segments}
        self._sizes = {first: size for first, _, size in segments}  # in order
        self._active: Active | None = None
        self._events: list[Event] = []
        self._failing = ""
        self._retry_at = self._sync_at = 0.0
        self._tick_at = now() + TICK
        self._upkeep = Upkeep(folder, disk, generation=generation)
        self._lock = lock

    def configure(self, settings: outputs.Buffer) -> None:
        """Go by other *settings* from now on; segments that exist keep their size."""
        self._settings = settings

    @property
    def gather(self) -> float:
        """Seconds to wait for company: one turn of two threads costs as much as writing 100 KB.

        None where somebody waits for the disk.
        """
        return 0.0 if self._settings.sync == "each" else _GATHER

    def work(self) -> float | None:
        """Do all that is to be done; return in how many seconds to come again, if at all."""
        now = self._now()
        # First, since it makes room: otherwise older segments would go, and unread ones.
        while self.discards:
            self._discard(self.discards.popleft())
        if self._failing and now >= self._retry_at:
            self._mend(now)
        orders = len(self.orders)  # what was ordered later may have been appended to later
        self._append(now)
        self._look_after_active(now)
        for _ in range(orders):
            order, then = self.orders.popleft()
            order()
            self._events.append(events.Done(then))
        if now >= self._tick_at:
            self._tick_at = now + TICK
            self._upkeep.tidy()
            self._events.append(events.Tick())
        self._tell()
        return self._pause()

    def prepare(self) -> None:
        """Make the files that need no new space later; if that fails, the log begins as failing."""
        try:
            self._upkeep.make_files()
        except OSError as error:
            self._fail(error, [])
            self._tell()

    # Orders, which the loop appends to `orders`.

    def sync(self) -> None:
        """Have all that was written on the disk, whatever the policy."""
        if self._active is not None and self._active.dirty:
            try:
                self._sync(self._active)
            except OSError as error:
                self._fail(error, [])

    def put_cursor(self, settled: cursor.Cursor, *, sync: bool) -> None:
        """Write the cursor over the older of its slots."""
        try:
            self._upkeep.put_cursor(settled, sync=sync)
        except OSError:
            # The former slot is good: what was settled since may be sent twice, and no more.
            self.counters.write_errors += 1

    def finish(self) -> None:
        """Close the segment that is being written; the next record begins another."""
        try:
            self._seal()
        except OSError as error:
            self._fail(error, [])

    def stop(self) -> None:
        """Close all files; nothing may be appended afterwards."""
        self.stopped = True
        self.finish()
        self._upkeep.stop()
        self._upkeep.close(self._lock)
        self._tell()

    # Appending

    def _append(self, now: float) -> None:
        group = [self.queue.popleft() for _ in range(len(self.queue))]
        if not group:
            return
        if self._failing:
            self._events.append(events.Failed(group, self._failing))
            return
        at = 0
        try:
            while at < len(group):
                active = self._with_room(group[at], now)
                stop, size = events.fitting(group, at, active.capacity - active.end)
                batch = group[at:stop]
                at = stop
                self._write(active, batch, size, now)
            if self._settings.sync == "each" and self._active is not None:
                self._sync(self._active)
        except OSError as error:
            self._fail(error, group[at:])

    def _with_room(self, record: Pending, now: float) -> Active:
        if self._active is not None and self._active.has_room(record.size):
            return self._active
        self._seal()
        return self._begin(record, now)

    def _begin(self, record: Pending, now: float) -> Active:
        """Create a segment, reserve its space, and delete old ones if the limit asks for it."""
        capacity = max(self._settings.segment_bytes, record.size)
        sizes = list(self._sizes.values())
        for first in list(self._sizes)[: doomed(sizes, capacity, self._settings.max_bytes)]:
            # Told first: a reader that finds the file gone shall have heard why.
            self._events.append(events.Deleted(first))
            self._tell()
            self._discard(first)
        active = begin(
            self._folder, record, capacity, self._disk, self._upkeep,
            now=now, sync=self._settings.sync != "none",
        )  # fmt: skip
        first, salt, anchor = active.first, active.salt, active.anchor
        self._paths[first], self._sizes[first] = self._path(first, salt), capacity
        base = events.stamp(record.at, anchor)
        self._events.append(events.Began(first, salt, base, anchor, capacity))
        self._active = active
        return active

    def _write(self, active: Active, batch: Sequence[Pending], size: int, now: float) -> None:
        was_clean = not active.dirty
        active.write(self._disk, batch, size)
        if was_clean:
            self._sync_at = now + self._settings.sync_interval
        self.counters.appended_bytes += size
        if self._settings.sync != "each":
            self._tell_of(active)

    def _tell_of(self, active: Active) -> None:
        wrote = active.news()
        if wrote is not None:
            self._events.append(wrote)

    def _sync(self, active: Active) -> None:
        self._disk.sync(active.descriptor)
        self.counters.syncs += 1
        active.dirty = 0
        self._tell_of(active)

    def _seal(self) -> None:
        """Close the active segment, if there is one, and return what it does not need."""
        active = self._active
        if active is None:
            return
        if active.dirty and self._settings.sync != "none":
            self._sync(active)
        self._tell_of(active)
        self._close_active(active, active.end)

    def _close_active(self, active: Active, end: int) -> None:
        self._active = None
        size = active.capacity
        try:
            self._disk.truncate(active.descriptor, end)
            size = end
        except OSError:  # it keeps what was reserved until it is deleted
            self.counters.write_errors += 1
        self._upkeep.close(active.descriptor)
        self._sizes[active.first] = size
        self._events.append(events.Sealed(active.first, size))

    def _look_after_active(self, now: float) -> None:
        active = self._active
        if active is None:
            return
        interval = self._settings.sync == "interval" and active.dirty
        try:
            if now - active.born > self._settings.max_age / _SPAN:
                self._seal()
            elif interval and (now >= self._sync_at or active.dirty >= _MOST_DIRTY):
                self._sync(active)
        except OSError as error:
            self._fail(error, [])

    # When things go wrong

    def _fail(self, error: OSError, rest: Sequence[Pending]) -> None:
        """Give up the active segment behind the last record that was told of, and refuse *rest*."""
        self.counters.write_errors += 1
        failed = [*rest]
        why = error.strerror or str(error)
        if self._active is not None:
            failed = [*self._active.untold, *rest]
            self._close_active(self._active, self._active.told)
        if failed:
            self._events.append(events.Failed(failed, why))
        if not self._failing:
            self._events.append(events.Failing(why))
        self._failing, self._retry_at = why, self._now() + RETRY

    def _mend(self, now: float) -> None:
        """Try whether a segment could be made, written and synchronised again."""
        try:
            self._upkeep.probe(self._settings.segment_bytes)
        except OSError as error:
            self._failing, self._retry_at = error.strerror or str(error), now + RETRY
            return
        self._failing = ""
        self._events.append(events.Failing(""))

    def _discard(self, first: int) -> None:
        self._sizes.pop(first, None)
        path = self._paths.pop(first, None)
        if path is None:
            return
        try:
            self._upkeep.delete(path)
        except OSError:
            self.counters.write_errors += 1

    def _tell(self) -> None:
        if self._events:
            told, self._events = self._events, []
            self._tell_loop(told)

    def _pause(self) -> float | None:
        due: list[float] = []
        if self._failing:
            due.append(self._retry_at)
        if self._active is not None and self._active.dirty and self._settings.sync == "interval":
            due.append(self._sync_at)
        if self._sizes or not self._upkeep.is_tidy:
            due.append(self._tick_at)
        return max(0.0, min(due) - self._now()) if due else None

    def _path(self, first: int, salt: int) -> Path:
        return self._folder / folders.segment_name(first, salt)
