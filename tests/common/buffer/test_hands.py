"""Threads work when woken, are told what to do in order, and end when nobody waits."""

import asyncio
import threading

import pytest

from common.buffer.hands import Threads


@pytest.mark.wallclock
async def test_the_writer_works_when_woken_and_stops_when_told() -> None:
    hands = Threads()
    rounds: list[str] = []
    heard = asyncio.Event()
    stopped = threading.Event()

    def work() -> None:
        rounds.append(threading.current_thread().name)
        hands.post(heard.set)

    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        tasks.create_task(hands.write(work, stopped.is_set, lambda: 0.0))
        for count in (1, 2, 3):
            await heard.wait()
            heard.clear()
            assert len(rounds) == count
            assert (await hands.call(lambda: threading.current_thread().name)) not in rounds
            if count == 3:
                stopped.set()
            hands.wake()
    assert len(set(rounds)) == 1
    hands.close()


@pytest.mark.wallclock
async def test_it_comes_again_after_the_pause_it_asked_for() -> None:
    hands = Threads()
    times: list[float] = []

    def work() -> float:
        times.append(0.01)
        return 0.01

    async with asyncio.timeout(10):
        await hands.write(work, lambda: len(times) > 2, lambda: 0.0)
    assert len(times) == 3
    hands.close()


@pytest.mark.wallclock
async def test_once_woken_it_waits_for_company() -> None:
    hands = Threads()
    loop = asyncio.get_running_loop()
    rounds: list[float] = []
    heard = asyncio.Event()
    stopped = threading.Event()

    def work() -> None:
        rounds.append(loop.time())
        hands.post(heard.set)

    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        tasks.create_task(hands.write(work, stopped.is_set, lambda: 0.05))
        await heard.wait()
        heard.clear()
        woken = loop.time()
        for _ in range(10):
            hands.wake()
            await asyncio.sleep(0.001)
        await heard.wait()
        stopped.set()
        hands.wake()
    assert rounds[1] >= woken + 0.05
    assert len(rounds) <= 3
    hands.close()


@pytest.mark.wallclock
async def test_what_is_posted_is_done_in_order() -> None:
    hands = Threads()
    done: list[int] = []
    finished = asyncio.Event()

    def post() -> None:
        for n in range(100):
            hands.post(lambda n=n: done.append(n))
        hands.post(finished.set)

    async with asyncio.timeout(10):
        await hands.call(post)
        await finished.wait()
    assert done == [*range(100)]
    hands.close()


def test_nobody_is_told_once_the_loop_is_closed() -> None:
    async def make() -> Threads:
        return Threads()

    loop = asyncio.new_event_loop()
    hands = loop.run_until_complete(make())
    loop.close()
    hands.post(lambda: pytest.fail("there is no loop"))
    hands.close()
