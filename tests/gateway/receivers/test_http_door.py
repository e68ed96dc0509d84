"""What connections share: a memory of heads, a date, and the end."""

import asyncio
import dataclasses

import pytest
from hypothesis import given, strategies as st

from common.config.doors import Proxies
from common.config.gateway import Limits, Listen
from gateway.receivers import door, refusals
from gateway.receivers.http_door import MAX_REMEMBERED, Door
from tests.gateway import samples

HEAD = b"POST /v1/metrics HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"


def opened(chance: float = 0.5, **limits) -> Door:
    terms = samples.terms(samples.Remembering(), **limits)
    return Door(terms, door.Traffic("http"), wall=lambda: 784111777.0, chance=lambda: chance)


async def test_a_head_is_parsed_once_whatever_the_length() -> None:
    subject = opened()
    first, one = subject.read(HEAD % 1)
    again, many = subject.read(HEAD % 123_456)
    assert again is first
    assert (one, many) == (1, 123_456)
    assert subject.traffic.heads_parsed == 1


async def test_a_length_may_be_written_in_any_way_or_be_absent() -> None:
    subject = opened()
    for text, length in (
        (b"CONTENT-LENGTH:7\r\n", 7),
        (b"CONTENT-LENGTH:8\r\n", 8),
        (b"content-length: 9\r\n", 9),
        (b"X-Content-Length: 9\r\n", 0),
        (b"Transfer-Encoding: chunked\r\n", None),
        (b"", 0),
    ):
        head = HEAD.replace(b"Content-Length: %d\r\n", text)
        assert [subject.read(head)[1] for _ in range(2)] == [length] * 2


@pytest.mark.parametrize(
    "lines",
    [
        b"Content-Length: \r\n", b"Content-Length:\r\n", b"Content-Length: x\r\n",
        b"Content-Length: 5\r\nContent-Length: 5\r\n", b"Content-Length: 5\r\nContent-Length: \r\n",
        b"Content-Length: \r\nContent-Length: 5\r\n", b"Content-Length: 5, 5\r\n",
        b"Content-Length: -5\r\n", b"Content-Length: 5 5\r\n",
        b"Content-Length: 99999999999999999999\r\n",
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
    ],
)  # fmt: skip
async def test_what_is_remembered_does_not_let_in_what_is_ambiguous(lines: bytes) -> None:
    subject = opened()
    for good in (HEAD % 5, HEAD.replace(b"Content-Length: %d", b"Transfer-Encoding: chunked")):
        subject.read(good)
    for _ in range(2):
        with pytest.raises(refusals.Refusal) as caught:
            subject.read(HEAD.replace(b"Content-Length: %d\r\n", lines))
        assert (caught.value.http, caught.value.closes) == (400, True)


@given(st.lists(st.sampled_from([
    b"Content-Length: 5", b"content-length: 77", b"Content-Length: ", b"Content-Length:5", b"X: y",
    b"Transfer-Encoding: chunked", b"Host: x", b"Connection: close", b"Content-Length: 5 ",
]), max_size=4), st.integers(0, 10**14))  # fmt: skip
def test_a_door_with_a_memory_sees_what_one_without_sees(lines: list[bytes], length: int) -> None:
    def head(n: int) -> bytes:
        text = b"\r\n".join((b"POST /v1/metrics HTTP/1.1", b"Host: x", *lines, b"", b""))
        return text.replace(b"77", b"%d" % n).replace(b": 5", b": %d" % n)

    async def seen(*heads: bytes) -> object:
        subject = opened()
        for text in heads:
            try:
                outcome = subject.read(text)
            except refusals.Refusal as refusal:
                outcome = str(refusal)
        if isinstance(outcome, str):
            return outcome
        return dataclasses.replace(outcome[0], length=None), outcome[1]

    assert asyncio.run(seen(head(5), head(length))) == asyncio.run(seen(head(length)))


async def test_the_memory_of_heads_is_bounded() -> None:
    subject = opened(header_memo_bytes=10_000)
    for n in range(100):
        subject.read((HEAD % 1)[:-2] + b"X: %d\r\n\r\n" % n)
    assert subject.traffic.heads_parsed == 100
    assert subject.traffic.heads_forgotten > 80
    long = (HEAD % 5)[:-2] + b"X: " + b"y" * MAX_REMEMBERED + b"\r\n\r\n"
    assert subject.read(long)[0] is not subject.read(long)[0]


async def test_the_date_is_made_once_a_second() -> None:
    subject = opened()
    date = subject.date(5.0)
    assert date == b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
    assert subject.date(5.9) is date
    assert subject.date(6.0) is not date
    assert date in subject.taken(100.0)
    assert subject.taken(100.5) is subject.taken(100.0)


async def test_the_sender_is_who_the_trusted_say_it_is() -> None:
    settings = Listen(proxies=Proxies(trusted=("10.0.0.0/8",), forwarded_for=True))
    terms = samples.terms(samples.Remembering(), listen=settings)
    believing = Door(terms, door.Traffic("http"), wall=lambda: 0.0, chance=lambda: 0.5)
    hops = HEAD.replace(b"\r\n\r\n", b"\r\nX-Forwarded-For: 1.1.1.1, 192.0.2.7\r\n") % 1
    request, _ = believing.read(hops + b"X-Forwarded-For: 10.0.0.9\r\n\r\n")
    assert believing.sender(request, "10.0.0.1") == "192.0.2.7"
    assert believing.sender(request, "192.0.2.1") == "192.0.2.1"
    assert opened().sender(request, "10.0.0.1") == "10.0.0.1"
    assert believing.sender(believing.read(HEAD % 1)[0], "10.0.0.1") == "10.0.0.1"


async def test_ages_are_spread_and_may_be_endless() -> None:
    ages = [opened(chance, max_connection_age=100.0).age() for chance in (0.0, 0.5, 0.999)]
    assert [round(age) for age in ages] == [90, 100, 110]
    assert opened(max_connection_age=0).age() == float("inf")


async def test_no_deadline_is_nearer_than_a_period() -> None:
    assert opened(header_timeout=3.0).period == 3.0
    assert opened(read_timeout=2.0).period == 2.0
    assert opened(idle_timeout=1e-9).period > 0
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
    await subject.drain(5.0)
    assert clock() == 5.0
    assert (polite.aborted, rude.aborted) == (False, True)
    assert subject.leaving
