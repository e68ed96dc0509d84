"""Calls of the lean gRPC door that are answered when the disk has what they brought."""

import base64

import pytest
from google.rpc import error_details_pb2, status_pb2
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse as Response,
)

from common.wire.http2 import Code, frames
from gateway.receivers import door
from tests.fakes import http2_wire as wire
from tests.gateway import samples
from tests.gateway.receivers.grpc_wire import Caller, answer, code, framed, greeted, head, request

BODY = samples.request()


def retry_after(found: dict[bytes, bytes]) -> float:
    text = found[b"grpc-status-details-bin"]
    status = status_pb2.Status.FromString(base64.b64decode(text + b"=" * (-len(text) % 4)))
    info = error_details_pb2.RetryInfo()
    assert status.details[0].Unpack(info)
    return info.retry_delay.ToMilliseconds() / 1000


def opened(**limits) -> tuple[Caller, samples.Remembering, door.Terms]:
    intake = samples.Remembering()
    terms = samples.terms(intake, **limits)
    return greeted(terms), intake, terms


def two_reads(stream: int, *more: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    whole = framed(BODY)
    return head(stream, *more) + wire.data(stream, whole[:9]), wire.data(
        stream, whole[9:], ended=True
    )


@pytest.mark.parametrize("reads", [1, 2])
async def test_success_is_told_when_the_disk_has_it_and_not_before(reads: int) -> None:
    caller, intake, terms = opened()
    commit = intake.wait_for_disk()
    sent = (request(1, BODY),) if reads == 1 else two_reads(1)
    assert [code(caller.say(piece), 1) for piece in sent] == [-1] * reads
    assert intake.taken
    assert terms.admission.in_flight == len(BODY), "until it is answered"
    assert (caller.traffic.requests, caller.traffic.waiting) == ({}, 1)
    commit.done(written=True)
    found = answer(caller.came(), 1)
    assert (found[b"grpc-status"], found[b"body"]) == (b"0", framed(b""))
    assert (terms.admission.in_flight, terms.admission.peers) == (0, 0)
    assert (caller.traffic.requests, caller.traffic.waiting) == ({"ok": 1}, 0)
    assert caller.traffic.unwritten == {"failed": 0, "late": 0, "gone": 0}


@pytest.mark.parametrize("reads", [1, 2])
async def test_what_could_not_be_written_is_to_be_sent_again(reads: int) -> None:
    caller, intake, terms = opened()
    commit = intake.wait_for_disk()
    for piece in (request(1, BODY),) if reads == 1 else two_reads(1):
        caller.say(piece)
    commit.done(written=False)
    found = answer(caller.came(), 1)
    assert found[b"grpc-status"] == b"14"
    assert retry_after(found) == door.AGAIN
    assert terms.admission.in_flight == 0
    assert caller.traffic.requests == {"unavailable": 1}
    assert caller.traffic.unwritten["failed"] == 1
    intake.answer = door.Taken(points=1)
    assert code(caller.say(request(3, BODY)), 3) == 0


async def test_what_failed_before_anybody_waited_is_answered_at_once() -> None:
    caller, intake, terms = opened()
    intake.wait_for_disk().done(written=False)
    assert code(caller.say(request(1, BODY)), 1) == 14
    assert (terms.admission.in_flight, caller.traffic.waiting) == (0, 0)


async def test_a_partial_success_waits_too() -> None:
    caller, intake, _ = opened()
    commit = intake.wait_for_disk(rejected=2, message="two have no name")
    caller.say(request(1, BODY))
    commit.done(written=True)
    said = Response.FromString(answer(caller.came(), 1)[b"body"][5:]).partial_success
    assert (said.rejected_data_points, said.error_message) == (2, "two have no name")


async def test_who_waits_holds_nobody_up() -> None:
    caller, intake, _ = opened()
    slow = intake.wait_for_disk()
    caller.say(request(1, BODY))
    fast = intake.wait_for_disk()
    caller.say(request(3, BODY))
    intake.answer = door.Taken(points=1)
    assert code(caller.say(request(5, BODY)), 5) == 0
    fast.done(written=True)
    assert code(caller.came(), 3) == 0
    slow.done(written=True)
    assert code(caller.came(), 1) == 0


async def test_a_stream_that_is_reset_gives_everything_back_and_hears_nothing() -> None:
    caller, intake, terms = opened()
    commit = intake.wait_for_disk()
    caller.say(request(1, BODY))
    caller.say(frames.reset(1, Code.CANCEL))
    assert terms.admission.in_flight == 0
    commit.done(written=True)
    assert caller.came() == []
    assert caller.traffic.requests == {"cancelled": 1}
    assert (caller.traffic.waiting, caller.traffic.unwritten["gone"]) == (0, 1)


async def test_the_end_of_a_connection_gives_everything_back() -> None:
    caller, intake, terms = opened()
    commit = intake.wait_for_disk()
    caller.say(request(1, BODY), request(3, BODY))
    assert terms.admission.in_flight == 2 * len(BODY)
    caller.lose()
    assert terms.admission.in_flight == 0
    commit.done(written=True)
    assert caller.traffic.requests == {"cancelled": 2}
    assert (caller.traffic.waiting, caller.traffic.unwritten["gone"]) == (0, 2)


async def test_whoever_breaks_the_protocol_is_not_waited_for() -> None:
    caller, intake, terms = opened()
    commit = intake.wait_for_disk()
    caller.say(request(1, BODY))
    caller.say(wire.headers(2))  # clients have odd streams
    assert caller.transport.ended == "eof"
    assert terms.admission.in_flight == 0
    commit.done(written=True)
    assert caller.traffic.requests == {"cancelled": 1}


async def test_the_clients_own_deadline_ends_the_wait() -> None:
    caller, intake, terms = opened(read_timeout=30.0)
    commit = intake.wait_for_disk()
    first, second = two_reads(1, (b"grpc-timeout", b"4S"))
    caller.say(first)
    await caller.wait(3.0)
    caller.say(second)
    assert code(await caller.wait(0.9), 1) == -1
    assert code(await caller.wait(0.1), 1) == 4
    assert terms.admission.in_flight == 0
    commit.done(written=True)
    assert caller.came() == []
    assert caller.traffic.requests == {"deadline_exceeded": 1}
    assert (caller.traffic.waiting, caller.traffic.unwritten["late"]) == (0, 1)
    assert caller.traffic.timeouts == {}, "it was the disk that took too long"


async def test_without_a_deadline_a_disk_that_hangs_is_given_up_like_one_that_failed() -> None:
    caller, intake, terms = opened(read_timeout=5.0)
    intake.wait_for_disk()
    caller.say(request(1, BODY))
    assert code(await caller.wait(4.9), 1) == -1
    found = answer(await caller.wait(0.1), 1)
    assert found[b"grpc-status"] == b"14"
    assert retry_after(found) == door.AGAIN
    assert terms.admission.in_flight == 0
    assert caller.traffic.unwritten["late"] == 1


async def test_a_connection_that_leaves_stays_for_what_waits() -> None:
    caller, intake, _ = opened(idle_timeout=1.0)
    commit = intake.wait_for_disk()
    caller.say(request(1, BODY))
    caller.connection.leave(caller.now)
    await caller.wait(2.0)
    assert not caller.transport.ended
    commit.done(written=True)
    assert code(caller.came(), 1) == 0
    assert caller.transport.ended == "closed"


async def test_a_connection_does_not_leave_later_than_its_grace() -> None:
    caller, intake, terms = opened(connection_grace=3.0)
    commit = intake.wait_for_disk()
    caller.say(request(1, BODY))
    caller.connection.leave(caller.now)
    await caller.wait(2.0)
    assert not caller.transport.ended
    await caller.wait(1.0)
    assert caller.transport.ended == "aborted"
    caller.lose()
    assert terms.admission.in_flight == 0
    commit.done(written=True)
