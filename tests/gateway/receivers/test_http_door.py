"""What connections share: a memory of heads, a date, and the end."""

import asyncio

from common.config.gateway import Limits
from gateway.receivers import door
from gateway.receivers.http_door import MAX_REMEMBERED, Door
from tests.gateway import samples

HEAD = b"POST /v1/metrics HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"


def opened(chance: float = 0.5, **limits) -> Door:
    terms = samples.terms(samples.Remembering(), **limits)
    return Door(terms, door.Traffic("http"), wall=lambda: 784111777.0, chance=lambda: chance)


async def test_a_head_is_parsed_once() -> None:
    subject = opened()
    first = subject.read(HEAD % 1)
    assert subject.read(HEAD % 1) is first
    assert subject.read(HEAD % 2).length == 2
    assert subject.traffic.heads_parsed == 2


async def test_the_memory_of_heads_is_bounded() -> None:
    subject = opened(header_memo_bytes=10_000)
    for n in range(100):
        subject.read(HEAD % n)
    assert subject.traffic.heads_forgotten > 80
    long = HEAD % 5 + b""
    long = long[:-2] + b"X: " + b"y" * MAX_REMEMBERED + b"\r\n\r\n"
    assert subject.read(long) is not subject.read(long)


async def test_the_date_is_made_once_a_second() -> None:
    subject = opened()
    date = subject.date(5.0)
    assert date == b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
    assert subject.date(5.9) is date
    assert subject.date(6.0) is not date
    assert date in subject.taken(100.0)
    assert subject.taken(100.5) is subject.taken(100.0)


async def test_ages_are_spread_and_may_be_endless() -> None:
    ages = [opened(chance, max_connection_age=100.0).age() for chance in (0.0, 0.5, 0.999)]
    assert [round(age) for age in ages] == [90, 100, 110]
    assert opened(max_connection_age=0).age() == float("inf")


async def test_no_deadline_is_nearer_than_a_period() -> None:
    assert opened(header_timeout=3.0).period == 3.0
    assert opened(read_timeout=2.0).period == 2.0
    assert opened(idle_timeout=0).period > 0
    assert opened(max_connection_age=1.0).period == 0.9
    assert opened().period == Limits().header_timeout


class Lingering:
    """A connection that closes when it is told to, or when it must."""

    def __init__(self, subject: Door, *, polite: bool) -> None:
        self.subject, self.polite, self.aborted = subject, polite, False
        subject.opened(self)

    def leave(self) -> None:
        if self.polite:
            self.subject.closed(self)

    def abort(self) -> None:
        self.aborted = True
        asyncio.get_running_loop().call_soon(self.subject.closed, self)


async def test_draining_waits_for_connections_and_not_longer_than_it_may(clock) -> None:
    subject = opened()
    await subject.drain(5.0)
    assert clock() == 0
    polite, rude = Lingering(subject, polite=True), Lingering(subject, polite=False)
    assert subject.traffic.connections == 2
    await subject.drain(5.0)
    assert clock() == 5.0
    assert (polite.aborted, rude.aborted) == (False, True)
    assert subject.traffic.connections == 0
    assert subject.leaving
