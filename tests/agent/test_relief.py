"""Memory is given back once for targets that go together, and never for nothing."""

import asyncio

from agent import relief


class Process:
    def __init__(self) -> None:
        self.departed = self.given_back = 0

    def give_back(self) -> None:
        self.given_back += 1


async def test_targets_that_go_together_are_one_reason() -> None:
    process = Process()
    async with relief.relieving(lambda: process.departed, process.give_back):
        process.departed = 7
        await asyncio.sleep(relief.PAUSE / 2)
        process.departed = 9
        assert not process.given_back
        await asyncio.sleep(relief.PAUSE)
        assert process.given_back == 1
        await asyncio.sleep(5 * relief.PAUSE)
    assert process.given_back == 1


async def test_those_that_go_later_are_another_one() -> None:
    process = Process()
    async with relief.relieving(lambda: process.departed, process.give_back):
        for process.departed in (1, 2, 3):
            await asyncio.sleep(2 * relief.PAUSE)
    assert process.given_back == 3


async def test_nothing_is_done_where_nobody_went() -> None:
    process = Process()
    process.departed = 4  # before anybody looked
    async with relief.relieving(lambda: process.departed, process.give_back):
        await asyncio.sleep(5 * relief.PAUSE)
    assert not process.given_back
