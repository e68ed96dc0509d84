"""A signal asks for the end, the grace period bounds it, and the exit code tells."""

import asyncio
import os
import signal
from contextlib import asynccontextmanager

import pytest

from common.service import lifecycle


async def test_a_signal_asks_the_block_to_end_and_unwinding_is_orderly() -> None:
    log: list[str] = []

    @asynccontextmanager
    async def part(name: str):
        log.append(f"{name} open")
        yield
        log.append(f"{name} closed")

    async with lifecycle.stopping(grace=30) as stop, part("exporter"), part("door"):
        os.kill(os.getpid(), signal.SIGTERM)
        await stop.wait()
        assert stop.requested
    assert log == ["exporter open", "door open", "door closed", "exporter closed"]


async def test_a_block_that_does_not_unwind_in_time_is_cancelled(clock) -> None:
    async def never_ends() -> None:
        async with lifecycle.stopping(grace=30) as stop:
            stop.request("test")
            stop.request("again: does not prolong")
            await asyncio.sleep(3600)

    with pytest.raises(TimeoutError):
        await never_ends()
    assert clock() == 30


@pytest.mark.wallclock
def test_run_returns_what_main_returns_and_1_when_the_grace_period_is_over() -> None:
    async def well() -> int:
        return 0

    async def late() -> int:
        async with lifecycle.stopping(grace=0.01) as stop:
            stop.request("test")
            await asyncio.sleep(10)
        return 0

    assert (lifecycle.run(well), lifecycle.run(late)) == (0, 1)


@pytest.mark.wallclock
def test_what_a_person_can_mend_comes_out_of_its_groups_alone() -> None:
    async def wrong(*found: Exception) -> int:
        raise ExceptionGroup("tasks", [ExceptionGroup("inner", list(found))])

    with pytest.raises(FileNotFoundError):
        lifecycle.run(lambda: wrong(FileNotFoundError("x")))
    with pytest.raises(ExceptionGroup):
        lifecycle.run(lambda: wrong(FileNotFoundError("x"), ZeroDivisionError()))
    assert lifecycle.run(lambda: wrong(TimeoutError())) == 1
