"""The durable log of one destination: append, take, settle, and be there again after a crash.

The loop keeps the state of every record (`journal`, `books`); a thread writes, another reads
(`hands`, `writing`, `reading`). This is the front of the room: what others need is importable here.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

from common.buffer import recovery
from common.buffer.books import Books, Lost
from common.buffer.disk import Disk, InUse
from common.buffer.events import Event
from common.buffer.folders import LOCK, folders
from common.buffer.hands import Hands, Threads
from common.buffer.journal import Log, nothing
from common.buffer.records import Record
from common.buffer.writing import Writer
from common.config import outputs

__all__ = ["MAX_UNWRITTEN", "InUse", "Log", "Lost", "Record", "folders", "opening"]

MAX_UNWRITTEN: Final = 64 << 20  # bytes: half a second at 130 MB/s, while the disk synchronises


@asynccontextmanager
async def opening(
    folder: Path,
    settings: outputs.Buffer,
    *,
    lost: Lost,
    failed: Callable[[Sequence[Record]], None],
    max_unwritten: int = MAX_UNWRITTEN,
    now: Callable[[], float] = time.monotonic,
    disk: Disk | None = None,
    hands: Callable[[], Hands] = Threads,
) -> AsyncIterator[Log]:
    """Open the log in *folder*, which is made if need be, and run it until the block ends.

    *lost* is told of points that will never be read again, on the loop, at opening and later;
    *failed* is given records that could not be written and that nobody has in hand. *now* is the
    steady clock in seconds, asked from several threads. At the end all is written and synchronised,
    whichever way the block ends. Raises :class:`InUse` if another has the folder, and
    :class:`OSError` if it cannot be made or read.
    """
    disk = Disk() if disk is None else disk
    # Takes microseconds, and in a thread that nobody waits for any more the lock would be kept.
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)  # noqa: ASYNC240
    lock = disk.lock(folder / LOCK)
    worker = hands()
    try:
        try:
            recovered = await worker.call(partial(recovery.recover, folder, disk, now()))
        except BaseException:
            disk.close(lock)
            raise
        books = Books(folder, recovered, now=now, lost=lost, failed=failed)
        heard: list[Callable[[Sequence[Event]], None]] = []  # the log, once it is there
        writer = Writer(
            folder,
            settings,
            disk,
            now=now,
            tell=lambda told: worker.post(lambda: heard[0](told)),
            segments=[(s.first, s.salt, s.size) for s in books.index.segments.values()],
            generation=recovered.generation,
            lock=lock,
        )
        log = Log(
            books,
            writer,
            worker,
            disk,
            folder=folder,
            settings=settings,
            now=now,
            max_unwritten=max_unwritten,
        )
        heard.append(log.hear)
        writer.orders.append((writer.prepare, nothing))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(log.work(), name=f"buffer {folder}")
            try:
                log.begin()
                yield log
            finally:
                await log.close()
    finally:
        worker.close()
