"""The line to a gRPC client is kept as long as it is of use, and left in good order."""

import pytest

from common.wire.http2 import Code, frames
from tests.fakes import http2_wire as wire
from tests.gateway import samples
from tests.gateway.receivers import grpc_wire
from tests.gateway.receivers.grpc_wire import code, framed, greeted, head, request

GOODBYE = (0x7FFF_FFFF).to_bytes(4) + bytes(4)
NO_ERROR = bytes(4)


async def test_a_silent_client_is_asked_and_then_left() -> None:
    caller = greeted(
        samples.terms(samples.Remembering(), keepalive_interval=10.0, keepalive_timeout=5.0)
    )
    (ping,) = await caller.wait(10.0)
    assert ping.kind == frames.PING
    caller.connection._clock.heard = caller.now  # as if it had answered
    assert await caller.wait(5.0) == []
    assert [f.kind for f in await caller.wait(5.0)] == [frames.PING]
    assert await caller.wait(4.9) == []
    (goaway,) = await caller.wait(0.2)
    assert goaway.payload[4:] == NO_ERROR + b"ping_timeout"
    assert caller.transport.ended == "eof"
    assert caller.traffic.timeouts == {"keepalive": 1}


async def test_an_idle_connection_is_closed_in_good_order() -> None:
    caller = greeted(samples.terms(samples.Remembering(), idle_timeout=7.0, keepalive_interval=0.0))
    goaway, ping = await caller.wait(7.0)
    assert goaway.payload == GOODBYE + b"max_idle"
    (last,) = caller.say(wire.frame(frames.PING, 1, 0, ping.payload))
    assert last.payload == bytes(8)
    assert caller.transport.ended == "closed"
    assert caller.traffic.timeouts == {"idle": 1}


async def test_an_old_connection_finishes_what_it_has() -> None:
    intake = samples.Remembering()
    terms = samples.terms(
        intake, max_connection_age=100.0, connection_grace=20.0, keepalive_interval=0.0
    )
    caller = greeted(terms)
    assert await caller.wait(99.0) == []
    caller.say(head(1))
    goaway, _ping = await caller.wait(1.0)
    assert goaway.payload == GOODBYE + b"max_age"
    assert caller.traffic.aged == 1
    caller.say(head(3))  # sent before the client saw it
    (last,) = await caller.wait(1.5)  # it never answers our PING
    assert last.payload == b"\0\0\0\3" + bytes(4)
    assert caller.say(head(5)) == []
    for number in (1, 3):
        assert caller.transport.ended == ""
        body = wire.data(number, framed(samples.request()), ended=True)
        assert code(caller.say(body), number) == 0
    assert len(intake.taken) == 2
    assert caller.transport.ended == "closed"


async def test_grace_ends() -> None:
    terms = samples.terms(samples.Remembering(), connection_grace=3.0)
    caller = greeted(terms)
    caller.say(head(1))
    caller.connection.leave(caller.now)
    await caller.wait(2.9)
    assert caller.transport.ended == ""
    await caller.wait(0.2)
    assert caller.transport.ended == "aborted"
    caller.lose()
    assert terms.admission.in_flight == 0


async def test_a_connection_that_never_spoke_is_left_at_once() -> None:
    caller = grpc_wire.Caller(samples.terms(samples.Remembering()))
    caller.connection.leave(caller.now)
    assert caller.transport.ended == "closed"


SLOW = {
    "handshake": (b"", "handshake"),
    "half a preface": (frames.PREFACE[:9], "handshake"),
    "no acknowledgement": (frames.PREFACE + wire.settings(), "handshake"),
    "half a header block": (
        frames.PREFACE + wire.settings() + frames.SETTINGS_ACK + wire.frame(1, 0, 1, b"\x82"),
        "headers",
    ),
    "half a frame": (
        frames.PREFACE + wire.settings() + frames.SETTINGS_ACK + head(1)[:20],
        "headers",
    ),
}


@pytest.mark.parametrize(("sent", "what"), SLOW.values(), ids=SLOW)
async def test_slow_beginnings(sent: bytes, what: str) -> None:
    caller = grpc_wire.Caller(samples.terms(samples.Remembering(), header_timeout=4.0))
    if sent:
        caller.say(sent)
    caller.came()
    assert await caller.wait(3.9) == []
    (goaway,) = await caller.wait(0.2)
    assert goaway.payload[4:8] == Code.SETTINGS_TIMEOUT.to_bytes(4)
    assert caller.transport.ended == "eof"
    assert caller.traffic.timeouts == {what: 1}
    caller.connection.data_received(b"whatever")
    assert await caller.wait(1.9) == []
    await caller.wait(0.5)
    assert caller.transport.ended == "aborted"


async def test_a_client_that_does_not_read_is_not_read_from() -> None:
    caller = greeted(samples.terms(samples.Remembering(), read_timeout=5.0))
    caller.connection.pause_writing()
    assert not caller.transport.reading
    caller.connection.resume_writing()
    assert caller.transport.reading
    caller.connection.pause_writing()
    await caller.wait(4.9)
    assert caller.transport.ended == ""
    await caller.wait(0.2)
    assert caller.transport.ended == "aborted"
    assert caller.traffic.timeouts == {"unread": 1}


async def test_a_client_that_never_opens_its_window_is_left() -> None:
    caller = grpc_wire.Caller(samples.terms(samples.Remembering(), read_timeout=5.0))
    caller.say(frames.PREFACE, wire.settings((4, 0)), frames.SETTINGS_ACK)
    caller.say(request(1, samples.request()))
    await caller.wait(0.1)
    await caller.wait(5.1)
    assert caller.transport.ended == "aborted"
