"""Waits for the ticks of a grid, one after the other: what every collector of an agent does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, final

from agent.scraping.schedule import MILLISECOND, Grid

SECOND: Final = 1_000_000_000  # nanoseconds


@final
class Ticks:
    """The ticks of *grid* from now on, by the *wall* clock in Unix nanoseconds.

    A round is: wait, `timestamp`, the work itself, `advance`. What takes longer than an interval
    misses ticks and never overlaps itself.
    """

    __slots__ = ("_wall", "grid", "next")

    def __init__(self, grid: Grid, wall: Callable[[], int]) -> None:
        self.grid, self._wall = grid, wall
        self.next = grid.after(wall())

    async def wait(self) -> None:
        """Wait for the next tick; returns at once when it is over already."""
        # Timers may fire early, by less than a millisecond, and a round may be quicker than that;
        # but a clock that was set back is not waited for.
        longest = self.grid.interval + MILLISECOND
        while MILLISECOND < (left := self.next - self._wall()) <= longest:  # noqa: ASYNC110 - it waits for time itself
            await asyncio.sleep(left / SECOND)

    def timestamp(self) -> int:
        """Return what to write for the round that begins now; see `Grid.timestamp`."""
        return self.grid.timestamp(self.next, self._wall())

    def advance(self) -> int:
        """Go on to the next tick that is not over; return how many were missed."""
        self.next, missed = self.grid.following(self.next, self._wall())
        return missed
