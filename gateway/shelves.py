"""The durable buffers of all pipelines: each outlives its destinations, which come and go."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, TypeAlias, final

from common.buffer.log import Log, Record, opening
from common.config import outputs
from common.service.ledger import DropReason
from common.service.settings import Problem, SettingsError
from common.service.telemetry import Reading, Whole

log = logging.getLogger("headgate.gateway.buffer")

_ADOPTED: Final = 1 << 20  # bytes moved at a time out of the folder of a worker that is no more

Lost: TypeAlias = Callable[[int, DropReason, str], None]
Failed: TypeAlias = Callable[[Sequence[Record]], None]
_Loss: TypeAlias = tuple[int, DropReason, str]


@final
class Tenant:
    """A destination's lease of a buffer, see :class:`common.exporters.storage.Lease`."""

    def __init__(self, log: Log, early: list[_Loss]) -> None:
        self.log = log
        self._early = early  # what was lost before anybody listened
        self.recovered = 0  # points that were found on disk, if this lease opened it
        self.wanted = asyncio.Event()
        self.moved_in = asyncio.Event()
        self.lost: Lost | None = None
        self.failed: Failed | None = None

    async def turn(self) -> None:
        """Wait until the destination before this one has ended."""
        await self.moved_in.wait()

    def listen(self, lost: Lost, failed: Failed) -> None:
        """Tell *lost* what was deleted unsent, and *failed* what could not be written."""
        self.lost, self.failed = lost, failed
        for points, reason, why in self._early:
            lost(points, reason, why)
        self._early.clear()


@final
class _Shelf:
    """One buffer that is open, and who has to do with it; the first tenant may take from it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.tenants: deque[Tenant] = deque()
        self.early: list[_Loss] = []
        self.recovered = 0  # points found on disk, those that were lost at once included
        self.leave = asyncio.Event()
        self.closed = asyncio.Event()

    def lost(self, points: int, reason: DropReason, why: str) -> None:
        """Tell the newest tenant that listens: all have one ledger, and it lives longest."""
        told = [tenant.lost for tenant in self.tenants if tenant.lost is not None]
        if told:
            told[-1](points, reason, why)
        else:
            self.early.append((points, reason, why))

    def failed(self, records: Sequence[Record]) -> None:
        """Tell the newest tenant that listens, which takes back what was not written."""
        told = [tenant.failed for tenant in self.tenants if tenant.failed is not None]
        if not told:
            raise RuntimeError(f"BUG: records of {self.name} failed, and nobody had given them")
        told[-1](records)


@final
class Shelves:
    """Opens buffers and lends them; *seat* is the number of this process among *seats*, or 0."""

    def __init__(self, tasks: asyncio.TaskGroup, seat: int, seats: int) -> None:
        self._tasks, self._seat, self._seats = tasks, seat, seats
        self._shelves: dict[Path, _Shelf] = {}
        self._turn = asyncio.Lock()  # one is opened at a time

    @asynccontextmanager
    async def lease(self, pipeline: str, settings: outputs.Buffer) -> AsyncIterator[Tenant]:
        """Lend the buffer of *pipeline*, opened if it is not; its settings are changed if it is.

        Raises :class:`SettingsError`, with a key relative to the pipeline, if it cannot be opened.
        """
        folder = Path(settings.dir) / pipeline / str(self._seat)
        async with self._turn:
            shelf = self._shelves.get(folder)
            if shelf is None or not shelf.tenants:
                if shelf is not None:
                    await shelf.closed.wait()
                shelf, found = await self._open(pipeline, folder, settings)
                tenant = Tenant(found, shelf.early)
                tenant.recovered = shelf.recovered
                tenant.moved_in.set()
            else:
                last = shelf.tenants[-1]
                tenant = Tenant(last.log, shelf.early)
                tenant.log.configure(settings)
                last.wanted.set()
            shelf.tenants.append(tenant)
        try:
            yield tenant
        finally:
            first = shelf.tenants[0] is tenant
            shelf.tenants.remove(tenant)
            if not shelf.tenants:
                shelf.leave.set()
            elif first:
                shelf.tenants[0].moved_in.set()
            if shelf.tenants:
                # Nobody waits behind the last one: who did may have left without ever moving in.
                shelf.tenants[-1].wanted.clear()

    def readings(self) -> Iterable[Reading]:
        """Return the own metrics of all buffers that are open."""
        logs = [(s.name, s.tenants[0].log) for s in self._shelves.values() if s.tenants]
        gauges: tuple[tuple[str, str, Callable[[Log], float], Whole], ...] = (
            ("bytes", "Bytes on disk.", lambda each: each.bytes_on_disk, "sum"),
            ("points", "Data points on disk that are not delivered.", lambda e: e.points, "sum"),
            ("oldest_seconds", "Age of the oldest of them.", lambda e: e.oldest_age, "max"),
            ("unwritten_bytes", "Bytes on their way to disk.", lambda e: e.unwritten, "sum"),
            ("failing", "1 while the disk takes nothing.", lambda e: bool(e.failing), "max"),
        )
        for name, words, value, whole in gauges:
            samples = tuple(({"pipeline": pipeline}, float(value(each))) for pipeline, each in logs)
            yield Reading("gauge", f"headgate_gateway_buffer_{name}", words, samples, whole)
        counters: tuple[tuple[str, str, Callable[[Log], float]], ...] = (
            ("appended_bytes", "Bytes written.", lambda each: each.counters.appended_bytes),
            ("syncs", "Synchronisations with the disk.", lambda each: each.counters.syncs),
            ("write_errors", "Writes that failed.", lambda each: each.counters.write_errors),
            ("refused", "Requests that went by memory only.", lambda each: each.refused),
            ("corrupt_records", "Records that were not what was written.",
             lambda each: each.books.corrupt_records),
        )  # fmt: skip
        for name, words, value in counters:
            samples = tuple(({"pipeline": pipeline}, float(value(each))) for pipeline, each in logs)
            yield Reading("counter", f"headgate_gateway_buffer_{name}_total", words, samples)
        yield Reading(
            "counter",
            "headgate_gateway_buffer_deleted_segments_total",
            "Files deleted, by why.",
            tuple(
                ({"pipeline": pipeline, "why": why}, float(count))
                for pipeline, each in logs
                for why, count in each.books.deleted_segments.items()
            ),
        )

    def page(self) -> dict[str, object]:
        """Return how the buffers are, as plain values."""
        return {
            shelf.name: {
                "folder": str(folder),
                "bytes": each.bytes_on_disk,
                "points": each.points,
                "oldest_age_seconds": round(each.oldest_age, 3),
                "failing": each.failing,
            }
            for folder, shelf in self._shelves.items()
            if shelf.tenants
            for each in (shelf.tenants[0].log,)
        }

    async def _open(
        self, pipeline: str, folder: Path, settings: outputs.Buffer
    ) -> tuple[_Shelf, Log]:
        opened: asyncio.Future[Log] = asyncio.get_running_loop().create_future()
        shelf = _Shelf(pipeline)
        self._tasks.create_task(
            self._live(shelf, folder, settings, opened), name=f"buffer {pipeline}"
        )
        try:
            found = await opened
        except BaseException:
            shelf.leave.set()
            raise
        self._shelves[folder] = shelf
        return shelf, found

    async def _live(
        self, shelf: _Shelf, folder: Path, settings: outputs.Buffer, opened: asyncio.Future[Log]
    ) -> None:
        """Own one buffer from the moment it is opened until nobody has to do with it."""
        try:
            async with opening(folder, settings, lost=shelf.lost, failed=shelf.failed) as found:
                shelf.recovered = found.recovered_points
                await self._adopt(shelf, folder, settings, found)
                if found.points:
                    extra = {"pipeline": shelf.name, "points": found.points}
                    log.info("points were found in the buffer", extra=extra)
                if not opened.done():  # whoever asked may have been cancelled since
                    opened.set_result(found)
                    await shelf.leave.wait()
        except OSError as error:
            if opened.done() and not opened.cancelled():
                raise
            if not opened.cancelled():
                why = f"cannot use {folder}: {error.strerror or error}"
                opened.set_exception(SettingsError([Problem("buffer.dir", why)]))
        finally:
            shelf.closed.set()
            if self._shelves.get(folder) is shelf:
                del self._shelves[folder]

    async def _adopt(
        self, shelf: _Shelf, folder: Path, settings: outputs.Buffer, found: Log
    ) -> None:
        """Take over what workers left that are no more, there being fewer of them now."""
        for other in _orphans(folder, self._seat, self._seats):
            async with opening(other, settings, lost=shelf.lost, failed=shelf.failed) as left:
                shelf.recovered += left.recovered_points
                log.info(
                    "taking over the buffer of a worker that is no more",
                    extra={"folder": str(other), "points": left.points},
                )
                while records := await left.take(_ADOPTED, newest=False):
                    numbers = [
                        found.append(r.body, r.points, r.spans, in_hand=False, written=None)
                        for r in records
                    ]
                    await found.flush()
                    if min(numbers) < 0 or found.failing:
                        raise OSError(found.failing or "the disk is too slow")
                    for record in records:
                        left.settle(record.number)
            await asyncio.to_thread(shutil.rmtree, other)


@asynccontextmanager
async def keeping(seat: int, seats: int) -> AsyncIterator[Shelves]:
    """Own the buffers of this process, number *seat* (from 1) of *seats*, or 0 of 0 if alone."""
    async with asyncio.TaskGroup() as tasks:
        yield Shelves(tasks, seat, seats)


def _orphans(folder: Path, seat: int, seats: int) -> list[Path]:
    """Return the folders beside *folder*, of seats that are no more, that this one takes over."""
    numbers = range(1, seats + 1) if seats else range(1)
    return [
        other
        for other in (sorted(folder.parent.iterdir()) if folder.parent.is_dir() else ())
        if other.name.isascii() and other.name.isdigit() and other.is_dir()
        if int(other.name) not in numbers and numbers[int(other.name) % len(numbers)] == seat
    ]
