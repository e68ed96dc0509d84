"""A connection ends in its time: silent, slow, stalled, old, or because the door closes."""

import asyncio
import gc
import weakref

import pytest

from gateway.receivers import door
from gateway.receivers.http_line import LINGER
from tests.gateway.receivers.scenes import BODY, GET, Scene, chunked, ended, post, scene


async def closed(at: Scene) -> float:
    """Wait until the connection is closed; return when that was."""
    await at.wire.closed.wait()
    await ended(at)
    return asyncio.get_running_loop().time()


async def test_silence_from_the_start_lasts_as_long_as_a_head_may() -> None:
    at = scene(header_timeout=3.0)
    assert 3.0 <= await closed(at) < 3.3
    assert at.traffic.timeouts == {"head": 1}
    assert at.statuses() == []


async def test_a_head_in_drops_does_not_last_longer() -> None:
    at = scene(header_timeout=3.0)
    for drop in GET[:20]:
        at.wire.receive(bytes([drop]))
        await asyncio.sleep(0.2)
    assert at.wire.closing
    assert at.traffic.timeouts == {"head": 1}
    await ended(at)


async def test_the_time_for_a_later_head_begins_with_its_first_byte() -> None:
    at = scene(header_timeout=3.0, idle_timeout=100.0)
    at.wire.receive(post())
    await asyncio.sleep(50)
    at.wire.receive(GET[:5])
    assert 53.0 <= await closed(at) < 53.3
    assert at.traffic.timeouts == {"head": 1}


@pytest.mark.parametrize("request_", [post(), chunked(BODY)], ids=["declared", "chunked"])
async def test_a_slow_body_is_given_up_and_told_so(request_: bytes) -> None:
    at = scene(read_timeout=5.0)
    for drop in request_[:-30], *[b""] * 20:
        at.wire.receive(drop)
        await asyncio.sleep(0.3)
    assert at.statuses() == [408]
    assert b"longer than 5 s" in at.wire.written
    assert at.terms.admission.in_flight == 0
    assert 5.0 + LINGER <= await closed(at) < 8.5
    assert at.traffic.timeouts == {"body": 1}


async def test_idle_connections_are_closed_in_time() -> None:
    at = scene(idle_timeout=20.0)
    for _ in range(5):
        await asyncio.sleep(5)
        at.wire.receive(post())
    assert 45.0 <= await closed(at) < 45.3
    assert at.traffic.timeouts == {"idle": 1}


async def test_an_old_connection_ends_with_an_answer_or_when_idle() -> None:
    at = scene(max_connection_age=10.0, chance=1.0, idle_timeout=2.5)
    idle = at.another()
    idle.receive(post())
    for _ in range(6):
        at.wire.receive(post())
        await asyncio.sleep(2)
    assert not at.wire.lost or at.wire.closing
    assert at.wire.closing
    assert at.statuses()[:5] == [200] * 5
    assert idle.closing
    assert (at.traffic.aged, at.traffic.timeouts) == (1, {"idle": 1})
    await ended(at)


async def test_an_idle_connection_that_is_old_is_closed_for_its_age() -> None:
    at = scene(max_connection_age=10.0, chance=0.0, idle_timeout=60.0)
    at.wire.receive(post())
    assert 9.0 <= await closed(at) < 9.3
    assert (at.traffic.aged, at.traffic.timeouts) == (1, {})


async def test_the_last_answer_of_an_old_connection_says_so() -> None:
    at = scene(max_connection_age=10.0, chance=0.0)
    at.wire.receive(post()[:-1])
    await asyncio.sleep(9.5)
    at.wire.receive(BODY[-1:])
    assert at.statuses() == [200]
    assert b"Connection: close" in at.wire.written
    assert at.wire.closing
    assert (at.traffic.aged, at.traffic.timeouts) == (1, {})
    await ended(at)


async def test_who_does_not_read_is_not_read_from_and_closed() -> None:
    at = scene(read_timeout=5.0)
    at.wire.room = 300
    at.wire.receive(post() * 10)
    assert at.wire.paused
    assert at.statuses() == [200] * 10
    await asyncio.sleep(6)
    assert at.wire.aborted
    assert at.traffic.timeouts == {"write": 1}
    await ended(at)


async def test_who_reads_after_all_is_read_from_again() -> None:
    at = scene(read_timeout=5.0)
    at.wire.room = 100
    at.wire.receive(post())
    await asyncio.sleep(4)
    at.wire.drained()
    assert not at.wire.paused
    await asyncio.sleep(20)
    at.wire.receive(post())
    assert at.statuses() == [200, 200]
    assert at.traffic.timeouts == {}


async def test_an_answer_that_nobody_fetches_does_not_hold_the_connection_open() -> None:
    at = scene(read_timeout=5.0)
    at.wire.room = 10
    at.wire.receive(post(BODY, b"Connection: close"))
    assert (at.wire.closing, at.wire.lost) == (True, False)
    await asyncio.sleep(16)
    assert at.wire.aborted
    await ended(at)


async def test_leaving_closes_the_idle_at_once_and_others_after_their_answer() -> None:
    at = scene()
    idle, refused = at.another(), at.another()
    at.wire.receive(post()[:-1])
    at.intake.busy = door.Overloaded(1.0)
    refused.receive(post()[:-1])
    at.intake.busy = None
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(at.door.drain(5.0))
        await asyncio.sleep(1)
        assert idle.closing
        assert not at.wire.closing
        refused.receive(b"x")
        assert refused.closing
        at.wire.receive(BODY[-1:])
        assert at.wire.closing
        late = at.another()
        assert late.closing
    assert b"Connection: close" in at.wire.written
    assert asyncio.get_running_loop().time() < 1.5
    await ended(at)


async def test_leaving_does_not_wait_longer_than_it_may(clock) -> None:
    at = scene()
    at.wire.receive(post()[:-1])
    await at.door.drain(5.0)
    assert clock() == 5.0
    assert at.wire.aborted
    await ended(at)


async def test_a_connection_that_is_over_is_forgotten_at_once() -> None:
    at = scene()
    at.wire.receive(post() + post()[:-1])
    at.wire.abort()
    await ended(at)
    gone = weakref.ref(at.wire.protocol)
    gc.disable()
    try:
        del at.wire.protocol
        await asyncio.sleep(0)
        assert gone() is None
    finally:
        gc.enable()
