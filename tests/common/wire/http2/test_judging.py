"""Floods end the connection, each with a cause of its own; the reserved rates do not."""

import pytest

from common.wire.http2 import Code, Limits, Mistake, StreamReset, encode, frames
from tests.fakes import http2_wire as wire
from tests.fakes.http2_wire import connection_error, frame

LIMITS = Limits(max_resets=10, max_pings=10, max_settings=10, max_empty_frames=10)


def rapid_reset(numbers: range) -> bytes:
    return b"".join(wire.headers(n, ended=True) + frames.reset(n, 8) for n in numbers)


def made_resets(numbers: range) -> bytes:
    return b"".join(wire.headers(n) + frames.window_update(n, 0) for n in numbers)


ODD = range(1, 41, 2)
OPEN = wire.headers(1)
FLOODS = {
    "rapid reset": (rapid_reset(ODD), "resets"),
    "resets that we are made to send": (made_resets(ODD), "resets"),
    "malformed requests": (b"".join(wire.headers(n, b"\x82") for n in ODD), "resets"),
    "PING": (frame(6, 0, 0, bytes(8)) * 20, "pings"),
    "answers to PING": (frame(6, 1, 0, bytes(8)) * 20, "pings"),
    "SETTINGS": (wire.settings() * 20, "settings"),
    "acknowledgements": (frames.SETTINGS_ACK * 20, "empty_frames"),
    "empty DATA": (OPEN + wire.data(1) * 20, "empty_frames"),
    "padded empty DATA": (OPEN + frame(0, 8, 1, b"\1\0") * 20, "empty_frames"),
    "PRIORITY": (frame(2, 0, 1, bytes(5)) * 20, "empty_frames"),
    "unknown frames": (frame(99, 0, 0, b"x") * 20, "empty_frames"),
    "GOAWAY": (frames.goaway(0, 0) * 20, "empty_frames"),
}


@pytest.mark.parametrize(("sent", "cause"), FLOODS.values(), ids=FLOODS)
def test_floods(sent: bytes, cause: str) -> None:
    assert connection_error(wire.server(LIMITS), sent) == (Code.ENHANCE_YOUR_CALM, cause)


def test_the_same_over_a_long_time_is_no_flood() -> None:
    server = wire.server(LIMITS)
    for second, number in enumerate(range(1, 401, 2)):
        sent = rapid_reset(range(number, number + 1)) + frame(6, 0, 0, bytes(8))
        server.receive(sent + wire.settings() + frame(99), 2.0 * second)
        assert server.failed is None
        server.outgoing()


def test_our_own_resets_are_nobodys_fault() -> None:
    server = wire.server(LIMITS)
    for number in ODD:
        server.receive(wire.headers(number), 0.0)
        server.reset(number, Code.NO_ERROR)
    assert server.failed is None


def test_the_shell_may_end_a_connection() -> None:
    server = wire.server()
    server.receive(wire.headers(1), 0.0)
    server.fail(Code.SETTINGS_TIMEOUT, "too slow")
    assert server.failed is not None
    (last,) = wire.taken_apart(server.outgoing())
    assert last.payload == b"\0\0\0\1\0\0\0\4too slow"
    assert server.streams == {}
    server.fail(Code.NO_ERROR, "again")
    assert server.outgoing() == b""


def test_a_mistake_on_a_stream_is_told_in_words_and_by_its_cause() -> None:
    server = wire.server()
    *_, mistake, event = server.receive(OPEN + frames.window_update(1, 0), 0.0)
    assert mistake == Mistake(1, "protocol")
    assert event == StreamReset(1, Code.PROTOCOL_ERROR, "WINDOW_UPDATE by 0")


def test_mistakes_have_causes_and_a_window_that_overflows_has_its_own() -> None:
    large = encode([*wire.REQUEST, (b"a", b"x" * 290)])
    limits = Limits(max_header_bytes=450, stream_window_bytes=10)
    for sent, cause in (
        (wire.headers(1, b"\x82"), "protocol"),
        (wire.headers(1, large), "header_list"),
        (wire.headers(1) + frames.window_update(1, frames.MAX_WINDOW), "window"),
        (wire.headers(1) + wire.data(1, bytes(11)), "window"),
    ):
        found = wire.server(limits).receive(sent, 0.0)
        assert [each.cause for each in found if isinstance(each, Mistake)] == [cause]
    twice = frames.window_update(0, frames.MAX_WINDOW) * 2
    assert connection_error(wire.server(), twice) == (Code.FLOW_CONTROL_ERROR, "window")
