"""Deadlines move for nothing, and are met."""

import asyncio

from gateway.receivers.watch import Watch


async def test_a_deadline_that_moves_is_met_when_it_has_passed(clock) -> None:
    called: list[float] = []
    watch = Watch(asyncio.get_running_loop(), 1.0, lambda: called.append(clock()))
    for _ in range(30):
        watch.deadline = clock() + 1.5
        await asyncio.sleep(0.5)
    watch.deadline = clock() + 1.5
    expected = watch.deadline
    await asyncio.sleep(2)
    watch.stop()
    await asyncio.sleep(10)
    assert called == [expected]


async def test_it_is_called_again_until_stopped(clock) -> None:
    called: list[float] = []
    watch = Watch(asyncio.get_running_loop(), 1.0, lambda: called.append(clock()))
    await asyncio.sleep(3.5)
    watch.stop()
    await asyncio.sleep(3)
    assert called == [1.0, 2.0, 3.0]


async def test_a_near_deadline_is_met_in_time(clock) -> None:
    called: list[float] = []
    watch = Watch(asyncio.get_running_loop(), 10.0, lambda: called.append(clock()))
    watch.hasten(clock() + 0.5)
    await asyncio.sleep(1)
    watch.stop()
    assert called == [0.5]


async def test_stopping_from_within_is_the_end() -> None:
    called: list[int] = []

    def expired() -> None:
        called.append(1)
        watch.stop()

    watch = Watch(asyncio.get_running_loop(), 1.0, expired)
    await asyncio.sleep(5)
    assert called == [1]
