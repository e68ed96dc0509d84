"""Memory is given back once for targets that go together, and for no other change."""

import asyncio
from collections.abc import Mapping

from agent import relief, targets

ONE = targets.Target(
    url="http://10.0.0.1:80/metrics",
    job="shop",
    instance="10.0.0.1:80",
    subject="shop/one",
    attributes=(),
    interval=30.0,
    timeout=10.0,
)


class Calls:
    def __init__(self) -> None:
        self.updates: list[Mapping[str, targets.Target]] = []
        self.given_back = 0

    def give_back(self) -> None:
        self.given_back += 1


async def test_targets_that_go_together_are_one_reason() -> None:
    calls = Calls()
    async with relief.relieving(calls.updates.append, calls.give_back) as update:
        update({"a": ONE, "b": ONE, "c": ONE})
        update({"a": ONE, "b": ONE})
        await asyncio.sleep(relief.PAUSE / 2)
        update({"a": ONE})
        assert not calls.given_back
        await asyncio.sleep(relief.PAUSE)
        assert calls.given_back == 1
        await asyncio.sleep(3 * relief.PAUSE)
    assert calls.given_back == 1
    assert list(map(len, calls.updates)) == [3, 2, 1]


async def test_targets_that_come_or_change_are_none() -> None:
    calls = Calls()
    async with relief.relieving(calls.updates.append, calls.give_back) as update:
        update({"a": ONE})
        update({"a": ONE, "b": ONE})
        await asyncio.sleep(3 * relief.PAUSE)
    assert not calls.given_back


async def test_those_that_go_later_are_another_one() -> None:
    calls = Calls()
    async with relief.relieving(calls.updates.append, calls.give_back) as update:
        for wanted in ({"a": ONE, "b": ONE}, {"a": ONE}, {}):
            update(wanted)
            await asyncio.sleep(2 * relief.PAUSE)
    assert calls.given_back == 2
