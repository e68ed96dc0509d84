"""What connections share: limits, ages, the look at all of them, and the end."""

import asyncio

import pytest

from common.config.doors import Http2
from common.config.gateway import Listen
from common.wire import http2
from gateway.receivers import door
from gateway.receivers.grpc_door import Door
from tests.gateway import samples


class Sleepy:
    """A connection that leaves when it likes."""

    def __init__(self, shared: Door, *, leaves: bool = True) -> None:
        self.shared, self.leaves = shared, leaves
        self.looks: list[float] = []
        self.said: list[str] = []
        shared.opened(self)

    def look(self, now: float) -> None:
        self.looks.append(now)

    def leave(self, now: float) -> None:
        self.said.append(f"leave {now:g}")
        if self.leaves:
            self.shared.closed(self)

    def abort(self) -> None:
        self.said.append("abort")
        self.shared.closed(self)


def shared(chance: float = 0.5, http2: Http2 | None = None, **limits: float) -> Door:
    terms = samples.terms(samples.Remembering(), listen=Listen(http2=http2 or Http2()), **limits)
    return Door(terms, door.Traffic("grpc"), chance=lambda: chance)


async def test_every_setting_reaches_the_connection() -> None:
    values = {name: 100_000 + i for i, name in enumerate(Http2.__struct_fields__)}
    values["flood_seconds"] = 7.0
    found = shared(http2=Http2(**values)).http2
    assert {name: getattr(found, name) for name in values} == values
    assert shared().http2 == http2.Limits()


@pytest.mark.parametrize(("chance", "age"), [(0.0, 90.0), (0.5, 100.0), (1.0, 110.0)])
async def test_ages_are_spread(chance: float, age: float) -> None:
    assert shared(chance, max_connection_age=100.0).age() == pytest.approx(age)
    assert shared(chance, max_connection_age=0.0).age() == float("inf")


async def test_all_connections_are_looked_at_by_one_timer() -> None:
    ours = shared(read_timeout=2.0)
    with ours.looking():
        one, other = Sleepy(ours), Sleepy(ours)
        await asyncio.sleep(1.6)
        ours.closed(other)
        await asyncio.sleep(0.5)
    await asyncio.sleep(10)
    assert one.looks == pytest.approx([0.5, 1.0, 1.5, 2.0])
    assert other.looks == pytest.approx([0.5, 1.0, 1.5])


async def test_who_does_not_leave_is_sent_away() -> None:
    ours = shared()
    polite, stubborn = Sleepy(ours), Sleepy(ours, leaves=False)
    await ours.drain(3.0)
    assert asyncio.get_running_loop().time() == 3.0
    assert (polite.said, stubborn.said) == (["leave 0"], ["leave 0", "abort"])
    await ours.drain(3.0)
