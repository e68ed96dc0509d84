"""Frames that steer: each rule of RFC 9113 section 6 has its code."""

import pytest

from common.wire.http2 import Code, Limits, PingAnswered, SettingsCame, frames
from tests.fakes import http2_wire as wire
from tests.fakes.http2_wire import connection_error, frame, stream_error

PROTOCOL, SIZE = Code.PROTOCOL_ERROR, Code.FRAME_SIZE_ERROR
OPEN = wire.headers(1)
FATAL = {
    "PRIORITY on 0": (frame(2, 0, 0, bytes(5)), PROTOCOL),
    "RST_STREAM on 0": (frame(3, 0, 0, bytes(4)), PROTOCOL),
    "RST_STREAM on idle": (frame(3, 0, 1, bytes(4)), PROTOCOL),
    "RST_STREAM too short": (OPEN + frame(3, 0, 1, bytes(3)), SIZE),
    "SETTINGS on 1": (frame(4, 0, 1), PROTOCOL),
    "SETTINGS of 5 bytes": (frame(4, 0, 0, bytes(5)), SIZE),
    "acknowledgement with a payload": (frame(4, 1, 0, bytes(6)), SIZE),
    "PUSH_PROMISE": (frame(5, 4, 1, bytes(4)), PROTOCOL),
    "PING on 1": (frame(6, 0, 1, bytes(8)), PROTOCOL),
    "PING of 7 bytes": (frame(6, 0, 0, bytes(7)), SIZE),
    "GOAWAY on 1": (frame(7, 0, 1, bytes(8)), PROTOCOL),
    "GOAWAY of 7 bytes": (frame(7, 0, 0, bytes(7)), SIZE),
    "WINDOW_UPDATE of 3 bytes": (frame(8, 0, 0, bytes(3)), SIZE),
    "PRIORITY on idle of 4 bytes": (frame(2, 0, 1, bytes(4)), SIZE),
}


@pytest.mark.parametrize(("sent", "code"), FATAL.values(), ids=FATAL)
def test_mistakes_that_cost_the_connection(sent: bytes, code: Code) -> None:
    assert connection_error(wire.server(), sent) == (code, "protocol")


def test_mistakes_that_cost_the_stream() -> None:
    assert stream_error(wire.server(), OPEN + frame(2, 0, 1, bytes(4))) == {1: SIZE}
    itself = frame(2, 0, 1, b"\0\0\0\1\0")
    assert stream_error(wire.server(), OPEN + itself) == {1: PROTOCOL}
    selfish = wire.headers(1, b"\0\0\0\1\0" + wire.GET, flags=frames.PRIORITISED)
    assert stream_error(wire.server(), selfish) == {1: PROTOCOL}


def test_pings_are_answered_and_answers_are_told() -> None:
    server = wire.server()
    assert server.receive(frame(6, 0, 0, b"12345678"), 0.0) == []
    assert server.outgoing() == frame(6, 1, 0, b"12345678")
    server.ping(b"87654321")
    assert server.outgoing() == frame(6, 0, 0, b"87654321")
    assert server.receive(frame(6, 1, 0, b"87654321"), 0.0) == [PingAnswered(b"87654321")]


def test_settings_are_acknowledged_in_turn() -> None:
    server = wire.server()
    assert server.receive(wire.settings() * 2, 0.0) == [SettingsCame(), SettingsCame()]
    assert server.outgoing() == frames.SETTINGS_ACK * 2


def test_a_small_window_of_ours_counts_from_the_acknowledgement_on() -> None:
    server = wire.server(Limits(stream_window_bytes=10), acknowledged=False)
    assert stream_error(server, OPEN + wire.data(1, bytes(60))) == {}
    server.receive(frames.SETTINGS_ACK, 0.0)
    assert stream_error(server, wire.data(1, b"x")) == {1: Code.FLOW_CONTROL_ERROR}
    server.receive(wire.headers(3), 0.0)
    assert stream_error(server, wire.data(3, bytes(10))) == {}
    assert stream_error(server, wire.data(3, b"x")) == {3: Code.FLOW_CONTROL_ERROR}


def test_unknown_frames_and_flags_are_ignored() -> None:
    server = wire.server()
    assert (
        server.receive(frame(0xBE, 0xFF, 7, b"whatever") + frame(6, 0xFE, 0, bytes(8)), 0.0) == []
    )
    assert wire.kinds(server.outgoing()) == [6]
