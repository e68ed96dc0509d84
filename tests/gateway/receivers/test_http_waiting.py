"""Requests over HTTP that are answered when the disk has what they brought."""

import asyncio

import pytest

from common.wire import otlp_json
from gateway.receivers import door, otlp_http, refusals, status
from tests.gateway import samples
from tests.gateway.receivers import connecting
from tests.gateway.receivers.scenes import BODY, GET, chunked, ended, post, scene


@pytest.mark.parametrize("request_", [post(), chunked(BODY[:5], BODY[5:])], ids=["plain", "chunks"])
async def test_success_is_told_when_the_disk_has_it_and_not_before(request_: bytes) -> None:
    at = scene()
    commit = at.intake.wait_for_disk()
    at.wire.receive(request_)
    assert (at.statuses(), len(at.intake.taken)) == ([], 1)
    assert at.terms.admission.in_flight >= len(BODY), "until it is answered"
    assert at.traffic.waiting == 1
    commit.done(written=True)
    assert at.statuses() == [200]
    assert (at.traffic.requests, at.traffic.waiting) == ({"200": 1}, 0)
    assert at.traffic.unwritten == {"failed": 0, "late": 0, "gone": 0}
    at.intake.answer = door.Taken(points=1)
    at.wire.receive(post())
    assert at.statuses() == [200, 200]
    await ended(at)


async def test_what_could_not_be_written_is_to_be_sent_again() -> None:
    at = scene()
    commit = at.intake.wait_for_disk()
    at.wire.receive(post())
    commit.done(written=False)
    assert at.statuses() == [503]
    assert b"Retry-After: 5\r\n" in at.wire.written
    said = at.wire.written.partition(b"\r\n\r\n")[2]
    words = f"{door.FAILED}; send it again in 5.0 s"
    assert said == status.encoded(status.UNAVAILABLE, words, retry_after=door.AGAIN)
    assert at.traffic.unwritten["failed"] == 1
    assert not at.wire.closing
    await ended(at)


async def test_what_is_settled_already_is_answered_at_once_and_what_follows_too() -> None:
    at = scene()
    at.intake.wait_for_disk().done(written=False)
    at.wire.receive(post() * 3)
    assert at.statuses() == [503] * 3
    assert not at.wire.paused
    await ended(at)


async def test_answers_in_json_and_partial_successes_wait_too() -> None:
    at = scene()
    commit = at.intake.wait_for_disk(rejected=1, message="no name")
    json = post(b"{}").replace(refusals.PROTOBUF.encode(), refusals.JSON.encode())
    at.wire.receive(json)
    assert at.wire.written == b""
    commit.done(written=True)
    assert at.wire.written.endswith(otlp_json.response(1, "no name"))
    assert at.statuses() == [200]
    await ended(at)


async def test_pipelined_requests_keep_their_order_and_no_more_is_read_than_has_come() -> None:
    at = scene()
    first = at.intake.wait_for_disk()
    at.wire.receive(post() + GET + post()[:-3])
    assert (at.statuses(), len(at.intake.taken)) == ([], 1)
    assert at.wire.paused
    second = at.intake.wait_for_disk()
    first.done(written=True)
    assert at.statuses() == [200, 405]
    assert not at.wire.paused
    at.wire.receive(BODY[-3:] + post(b"\xff"))
    assert (at.statuses(), len(at.intake.taken)) == ([200, 405], 2)
    assert at.wire.paused
    second.done(written=False)
    assert at.statuses() == [200, 405, 503, 400]
    assert not at.wire.paused
    await ended(at)


async def test_what_is_read_in_spite_of_that_is_not_lost() -> None:
    at = scene()
    commit = at.intake.wait_for_disk()
    at.wire.receive(post())
    sent = post(b"\xff") + GET
    at.wire.protocol.data_received(sent[:20])  # as a transport may that had it already
    at.wire.protocol.data_received(sent[20:])
    assert at.statuses() == []
    commit.done(written=True)
    assert at.statuses() == [200, 400, 405]
    await ended(at)


async def test_a_client_that_is_gone_gets_nothing_and_all_is_given_back() -> None:
    at = scene()
    commit = at.intake.wait_for_disk()
    at.wire.receive(post())
    at.wire.abort()
    await ended(at)
    commit.done(written=True)
    assert at.statuses() == []
    assert (at.traffic.waiting, at.traffic.unwritten["gone"]) == (0, 1)
    assert at.traffic.hostile == {}


async def test_who_has_closed_its_own_side_is_still_answered() -> None:
    at = scene()
    commit = at.intake.wait_for_disk()
    at.wire.receive(post())
    at.wire.hang_up()
    assert not at.wire.closing
    commit.done(written=True)
    assert at.statuses() == [200]
    assert b"Connection: close\r\n" in at.wire.written
    assert at.wire.closing
    await ended(at)


async def test_within_tls_the_end_of_one_side_is_the_end() -> None:
    at = scene(half_closes=False)
    commit = at.intake.wait_for_disk()
    at.wire.receive(post())
    at.wire.hang_up()
    await ended(at)
    assert at.traffic.unwritten["gone"] == 1
    commit.done(written=True)


async def test_a_disk_that_hangs_is_given_up_like_one_that_failed() -> None:
    at = scene(read_timeout=5.0, idle_timeout=60.0)
    commit = at.intake.wait_for_disk()
    at.wire.receive(post() + GET)
    await asyncio.sleep(4.9)
    assert at.statuses() == []
    await asyncio.sleep(1.0)
    assert at.statuses() == [503, 405]
    assert b"Retry-After: 5\r\n" in at.wire.written
    assert (at.traffic.waiting, at.traffic.unwritten["late"]) == (0, 1)
    assert at.traffic.timeouts == {}, "it was the disk that took too long"
    commit.done(written=True)
    assert at.statuses() == [503, 405]
    await ended(at)


async def test_who_does_not_read_answers_is_not_read_from_before_nor_while_it_waits() -> None:
    at = scene()
    commit = at.intake.wait_for_disk()
    at.wire.room = 0
    at.wire.receive(GET + post())
    assert at.wire.paused
    at.wire.drained()
    assert at.wire.paused, "what is read now would have to be kept"
    commit.done(written=True)
    assert (at.statuses(), at.wire.paused) == ([405, 200], False)
    await ended(at)


async def test_a_door_that_closes_waits_for_what_waits() -> None:
    at = scene()
    commit = at.intake.wait_for_disk()
    at.wire.receive(post())
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(at.door.drain(2.0))
        await asyncio.sleep(1.0)
        assert not at.wire.closing
        commit.done(written=True)
    assert at.statuses() == [200]
    assert (at.wire.closing, at.wire.aborted) == (True, False)


async def test_a_door_that_closes_does_not_wait_longer_than_it_may() -> None:
    at = scene()
    commit = at.intake.wait_for_disk()
    at.wire.receive(post())
    await at.door.drain(2.0)
    assert at.wire.aborted
    await ended(at)
    commit.done(written=True)
    assert (at.statuses(), at.traffic.unwritten["gone"]) == ([], 1)


@pytest.mark.wallclock
@pytest.mark.parametrize("loop", connecting.LOOPS)
def test_over_loopback_a_client_may_send_on_or_close_its_side(loop: str) -> None:
    async def main() -> None:
        intake, traffic = samples.Remembering(), door.Traffic("http")
        terms = samples.terms(intake)
        async with (
            otlp_http.serving("127.0.0.1:0", terms, traffic) as bound,
            connecting.connected(bound.port) as (reader, writer),
        ):
            for _ in range(2):
                intake.reached.clear()
                commit = intake.wait_for_disk()
                writer.write(post() + GET)
                await intake.reached.wait()
                commit.done(written=True)
                assert await reader.readuntil(b"\r\n\r\n") >= b"HTTP/1.1 200"
                assert (await reader.readline()).startswith(b"HTTP/1.1 405")
                await reader.readuntil(b"\r\n\r\n")
                await reader.readline()
            intake.reached.clear()
            commit = intake.wait_for_disk()
            writer.write(post())
            writer.write_eof()
            await intake.reached.wait()
            asyncio.get_running_loop().call_later(0.05, lambda: commit.done(written=True))
            assert (await reader.read()).startswith(b"HTTP/1.1 200")
        assert terms.admission.in_flight == 0

    connecting.run(loop, main)
