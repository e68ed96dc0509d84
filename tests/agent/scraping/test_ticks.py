"""Rounds begin at the ticks of their grid, and none overlaps the one before."""

import asyncio
from itertools import pairwise

from agent.scraping.schedule import MILLISECOND, Grid
from agent.scraping.ticks import SECOND, Ticks

EPOCH = 1_795_514_400 * SECOND
GRID = Grid(interval=10 * SECOND, offset=3 * SECOND)


class Wall:
    """A wall clock that goes with the loop's, and can be set."""

    def __init__(self) -> None:
        self.ahead = 0

    def __call__(self) -> int:
        return EPOCH + self.ahead + round(asyncio.get_running_loop().time() * SECOND)


async def test_every_round_begins_at_a_tick_and_is_written_at_it() -> None:
    ticks = Ticks(GRID, Wall())
    times = []
    for _ in range(3):
        await ticks.wait()
        times.append(ticks.timestamp())
        assert ticks.advance() == 0
    assert [time % GRID.interval for time in times] == [GRID.offset] * 3
    assert [b - a for a, b in pairwise(times)] == [GRID.interval] * 2


async def test_what_takes_longer_than_an_interval_misses_ticks() -> None:
    ticks = Ticks(GRID, Wall())
    await ticks.wait()
    before = ticks.next
    await asyncio.sleep(25)
    assert ticks.advance() == 2
    assert ticks.next == before + 3 * GRID.interval


async def test_a_late_round_begins_at_once_and_says_when() -> None:
    wall = Wall()
    ticks = Ticks(GRID, wall)
    await asyncio.sleep(12)
    began = wall()
    await ticks.wait()
    assert wall() == began
    assert ticks.timestamp() == began - began % MILLISECOND


async def test_a_clock_that_is_set_back_is_not_waited_for() -> None:
    wall, loop = Wall(), asyncio.get_running_loop()
    ticks = Ticks(GRID, wall)
    wall.ahead = -3600 * SECOND
    began = loop.time()
    await ticks.wait()
    assert loop.time() == began
    assert ticks.advance() == 0
    await ticks.wait()
    assert loop.time() - began <= 10
