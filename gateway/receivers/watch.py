"""A deadline that is moved with every request, on a timer that is not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Watch:
    """Calls *expired* when ``deadline`` (in the loop's time) has passed.

    ``deadline`` may be set at any time to anything at least *period* seconds ahead, for nothing: a
    timer looks every *period* seconds at most whether it has come. Arming one for every request
    would cost more than parsing it. A nearer deadline is set by `hasten`. *expired* either sets a
    new deadline or stops the watch; else it is called again after *period*.
    """

    __slots__ = ("_expired", "_loop", "_period", "_timer", "deadline")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, period: float, expired: Callable[[], None]
    ) -> None:
        self._loop, self._period, self._expired = loop, period, expired
        self.deadline = loop.time() + period
        self._timer = loop.call_later(period, self._look)

    def hasten(self, deadline: float) -> None:
        """Set a deadline that may be nearer than one period."""
        self.deadline = deadline
        self._timer.cancel()
        self._arm()

    def stop(self) -> None:
        """Never call again, and forget whom: else connection and watch would keep each other."""
        self._timer.cancel()
        self._expired = _nothing

    def _look(self) -> None:
        self._arm()  # first, so that `stop` and `hasten` from within are not undone
        if self._loop.time() >= self.deadline:
            self._expired()

    def _arm(self) -> None:
        ahead = self.deadline - self._loop.time()
        wait = ahead if 0 < ahead < self._period else self._period
        self._timer = self._loop.call_later(wait, self._look)


def _nothing() -> None:
    """Do nothing."""
