"""Disks that fail when told, hands that work at once, and a clock that goes where it is put."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common.buffer.disk import Disk
from common.buffer.hands import Hands

CALLS = (
    "create",
    "open",
    "reserve",
    "writev",
    "pwrite",
    "pread",
    "sync",
    "truncate",
    "unlink",
    "sync_folder",
)


class Time:
    """A steady clock and a wall clock, in seconds; both stand still unless moved."""

    def __init__(self) -> None:
        self.steady, self.wall = 100.0, 1_700_000_000.0

    def pass_by(self, seconds: float) -> None:
        self.steady += seconds
        self.wall += seconds


class FakeDisk(Disk):
    """The real disk, whose calls are counted and may fail."""

    def __init__(self, time: Time | None = None) -> None:
        self.time = Time() if time is None else time
        self.calls: list[str] = []
        self.fault: Callable[[str, int], OSError | None] = lambda _name, _number: None
        self.short = 0  # bytes that a writev takes at most; 0: as many as it likes
        self._salts = 0

    def seconds(self) -> float:
        return self.time.wall

    def salt(self) -> int:
        self._salts += 1
        return self._salts * 0x9E3779B1 & 0xFFFFFFFF

    def _count(self, name: str) -> None:
        self.calls.append(name)
        error = self.fault(name, len(self.calls))
        if error is not None:
            raise error

    def writev(self, descriptor: int, pieces: Any) -> int:
        self._count("writev")
        if self.short:
            return super().writev(descriptor, [b"".join(pieces)[: self.short]])
        return super().writev(descriptor, pieces)

    def sync(self, descriptor: int) -> None:  # noqa: ARG002 - nothing waits
        self._count("sync")  # the page cache is all that tests look at; waiting is for real disks

    def sync_folder(self, folder: Path) -> None:  # noqa: ARG002 - nothing waits
        self._count("sync_folder")


def _counted(name: str) -> Any:
    real = getattr(Disk, name)

    def call(self: FakeDisk, *arguments: Any, **named: Any) -> Any:
        self._count(name)
        return real(self, *arguments, **named)

    return call


for _name in CALLS:
    if _name not in FakeDisk.__dict__:
        setattr(FakeDisk, _name, _counted(_name))


def failing(*names: str, code: int = errno.EIO) -> Callable[[str, int], OSError | None]:
    """Every call of *names* fails."""
    return lambda name, _: OSError(code, "it was told to fail") if name in names else None


class Inline(Hands):
    """Does everything on the loop, at the next turn of it; comes again only when woken."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._work: Callable[[], float | None] | None = None
        self._stopped: Callable[[], bool] = lambda: False
        self._awake = False
        self._end: asyncio.Future[None] = self._loop.create_future()
        self.pause: float | None = None  # after which the writer wants to come again

    def wake(self) -> None:
        if not self._awake:
            self._awake = True
            self._loop.call_soon(self._step)

    def post(self, call: Callable[[], None], /) -> None:
        self._loop.call_soon(call)

    async def call(self, function: Any, /) -> Any:
        await asyncio.sleep(0)
        return function()

    async def write(self, work: Any, stopped: Any, gather: Any) -> None:  # noqa: ARG002
        self._work, self._stopped = work, stopped
        self.wake()
        await self._end

    def close(self) -> None:
        """Nothing runs elsewhere."""

    def _step(self) -> None:
        self._awake = False
        if self._work is None or self._end.done():
            return
        try:
            self.pause = self._work()
        except BaseException as error:
            self._end.set_exception(error)
            raise
        if self._stopped():
            self._end.set_result(None)
