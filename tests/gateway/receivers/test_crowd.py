"""Who is connected is known, ages are spread, and leaving waits for everybody, but not for ever."""

import asyncio

import pytest

from common.config.doors import Limits
from gateway.receivers.crowd import Crowd


class Client:
    def __init__(self, crowd: "Crowd[Client]") -> None:
        self.crowd, self.aborted = crowd, False
        crowd.opened(self)

    def abort(self) -> None:
        self.aborted = True
        self.crowd.closed(self)


async def test_nobody_is_waited_for_where_nobody_is() -> None:
    await Crowd(Limits(), lambda: 0.5).wait_gone(1.0)


async def test_who_leaves_in_time_is_not_aborted() -> None:
    crowd: Crowd[Client] = Crowd(Limits(), lambda: 0.5)
    client = Client(crowd)
    asyncio.get_running_loop().call_later(2.0, crowd.closed, client)
    await crowd.wait_gone(5.0)
    assert (client.aborted, crowd.members) == (False, ())
    assert asyncio.get_running_loop().time() == 2.0


async def test_who_stays_is_aborted_when_patience_ends() -> None:
    crowd: Crowd[Client] = Crowd(Limits(), lambda: 0.5)
    client = Client(crowd)
    await crowd.wait_gone(5.0)
    assert client.aborted
    assert asyncio.get_running_loop().time() == 5.0


@pytest.mark.parametrize(("chance", "age"), [(0.0, 90.0), (0.5, 100.0), (1.0, 110.0)])
async def test_ages_are_a_tenth_more_or_less(chance: float, age: float) -> None:
    crowd: Crowd[Client] = Crowd(Limits(max_connection_age=100.0), lambda: chance)
    assert crowd.age() == pytest.approx(age)


async def test_without_a_limit_nobody_grows_old() -> None:
    assert Crowd(Limits(max_connection_age=0.0), lambda: 0.5).age() == float("inf")
