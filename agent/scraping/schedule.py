"""When each target is scraped: a place inside the interval that is its own and never moves."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, final

import xxhash

MILLISECOND: Final = 1_000_000  # nanoseconds
SNAP: Final = 2 * MILLISECOND  # at most this much lateness is taken for punctual, as in Prometheus


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """The ticks of one target: all times that are *offset* modulo *interval*, in Unix nanoseconds.

    Wall time anchors them, so that a restart, or another agent, finds the same ticks: points stay
    equally far apart.
    """

    interval: int
    offset: int

    def after(self, now: int) -> int:
        """Return the first tick strictly after *now*."""
        return now + self.interval - (now - self.offset) % self.interval

    def following(self, tick: int, now: int) -> tuple[int, int]:
        """Return the tick to wait for once that of *tick* is done with, and how many were missed.

        What a late or slow scrape has missed is not made up for: a target never overlaps itself. A
        clock that was set back by more than an interval starts the grid anew.
        """
        if now < tick - self.interval:
            return self.after(now), 0
        missed = max(0, (now - tick) // self.interval)
        return tick + (missed + 1) * self.interval, missed

    def timestamp(self, tick: int, now: int) -> int:
        """Return what to write for a scrape of *tick* that began at *now*, in whole milliseconds.

        The tick itself if the scrape was punctual (within 1 % of the interval, at most 2 ms), so
        that equal distances compress well in the store; else the truth.
        """
        tolerance = min(self.interval // 100, SNAP)
        chosen = tick if abs(now - tick) <= tolerance else now
        return chosen - chosen % MILLISECOND


def grid(url: str, labels: Iterable[tuple[str, str]], interval: float) -> Grid:
    """Give the target of *url* and *labels* its place inside an *interval* of seconds.

    The hash spreads targets evenly; whole milliseconds, because remote write knows nothing finer.
    """
    digest = xxhash.xxh64(url.encode())
    for key, value in sorted(labels):
        digest.update(f"\xff{key}\xff{value}".encode())
    milliseconds = max(1, round(interval * 1000))
    return Grid(
        interval=milliseconds * MILLISECOND,
        offset=digest.intdigest() % milliseconds * MILLISECOND,
    )
