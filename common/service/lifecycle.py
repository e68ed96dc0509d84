"""From the first line of a program to its exit code: signals, the grace period, the last words."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import uvloop

from common.service.settings import SettingsError

log = logging.getLogger("headgate")

Kinds = tuple[type[Exception], ...]


class Stop:
    """Tells a program that it shall end; the grace period runs from then on."""

    def __init__(self, deadline: asyncio.Timeout, grace: float) -> None:
        self._deadline, self._grace = deadline, grace
        self._event = asyncio.Event()

    @property
    def requested(self) -> bool:
        """Whether the end was asked for."""
        return self._event.is_set()

    def request(self, why: str) -> None:
        """Ask for the end; the first request counts and arms the deadline."""
        if self._event.is_set():
            return
        log.info("stopping", extra={"why": why, "grace_seconds": self._grace})
        self._deadline.reschedule(asyncio.get_running_loop().time() + self._grace)
        self._event.set()

    async def wait(self) -> None:
        """Wait until the end is asked for."""
        await self._event.wait()


@asynccontextmanager
async def stopping(grace: float) -> AsyncIterator[Stop]:
    """Own SIGTERM and SIGINT: either asks the block to end within *grace* seconds.

    Whatever the block stacked (doors last, so that they close first) unwinds under that deadline;
    a block that is still unwinding then is cancelled and :class:`TimeoutError` leaves here.
    """
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(None) as deadline:
        stop = Stop(deadline, grace)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.request, number.name)
        try:
            yield stop
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)


def run(
    main: Callable[[], Coroutine[Any, Any, int]], mendable: Kinds = (SettingsError, OSError)
) -> int:
    """Run *main* on uvloop and return its exit code; 1 when the grace period ran out.

    What a person can mend (*mendable*) is raised as itself, out of the task groups it came through.
    """
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(main())
    except TimeoutError:
        return _too_late()
    except BaseExceptionGroup as group:
        if group.split(TimeoutError)[1] is None:
            return _too_late()
        raise alone(group, mendable) or group from None


def alone(group: BaseExceptionGroup[BaseException], kinds: Kinds) -> BaseException | None:
    """Return the first exception of *kinds* inside *group*, if nothing else went wrong."""
    found, others = group.split(kinds)
    inner: BaseException | None = found
    while isinstance(inner, BaseExceptionGroup):
        inner = inner.exceptions[0]
    return inner if others is None else None


def _too_late() -> int:
    log.error("the grace period is over; what was still held is lost")
    return 1
