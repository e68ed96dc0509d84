"""The server's side: which requests come through, and what their mistakes cost."""

import pytest

from common.wire.http2 import (
    Code,
    DataCame,
    GoingAway,
    HeadCame,
    Limits,
    Mistake,
    Server,
    StreamReset,
    TrailersCame,
    encode,
    frames,
)
from tests.fakes import http2_wire as wire
from tests.fakes.http2_wire import GET, HEADERS_ONLY, REQUEST, connection_error, stream_error


def test_a_request_in_one_read_is_two_events_and_its_response_one_write() -> None:
    server = wire.server()
    head, data = server.receive(wire.headers(1) + wire.data(1, b"hello", ended=True), 0.0)
    assert isinstance(head, HeadCame)
    assert (head.stream, head.head.path, head.ended) == (1, b"/service/Method", False)
    assert data == DataCame(1, b"hello", True)
    assert server.respond(1, wire.OK, b"answer", wire.TRAILERS)
    assert wire.taken_apart(server.outgoing()) == [
        (frames.HEADERS, frames.END_HEADERS, 1, wire.OK),
        (frames.DATA, 0, 1, b"answer"),
        (frames.HEADERS, HEADERS_ONLY, 1, wire.TRAILERS),
    ]
    assert server.streams == {}
    assert server.outgoing() == b""


def test_the_preface_may_come_in_pieces_and_must_be_right() -> None:
    server = Server(Limits())
    assert wire.kinds(server.outgoing()) == [frames.SETTINGS, frames.WINDOW_UPDATE]
    for at in range(24):
        assert server.receive(frames.PREFACE[at : at + 1], 0.0) == []
    server.receive(wire.settings(), 0.0)
    assert server.heard
    assert not server.acknowledged
    assert server.outgoing() == frames.SETTINGS_ACK
    for sent in (b"GET / HTTP/1.1\r\n", b"PRI * HTTP/2.0\r\n\r\nSN"):
        assert connection_error(Server(Limits()), sent)[0] == Code.PROTOCOL_ERROR


@pytest.mark.parametrize(
    "first", [wire.headers(1), wire.frame(6, 0, 0, bytes(8)), b"\0\0\0\4\1\0\0\0\0"]
)
def test_the_first_frame_is_settings(first: bytes) -> None:
    server = Server(Limits())
    assert connection_error(server, frames.PREFACE + first)[0] == Code.PROTOCOL_ERROR


def test_trailers_end_a_request() -> None:
    server = wire.server()
    trailers = encode([(b"checksum", b"1")])
    events = server.receive(
        wire.headers(1) + wire.data(1, b"x") + wire.headers(1, trailers, ended=True), 0.0
    )
    assert isinstance(events[2], TrailersCame)
    assert events[2].head.get(b"checksum") == b"1"
    for bad in (
        wire.headers(3) + wire.headers(3, trailers),
        wire.headers(3) + wire.headers(3, encode([(b":path", b"/")]), ended=True),
        wire.headers(3) + wire.headers(3, encode([(b"a", b"\n")]), ended=True),
    ):
        assert stream_error(wire.server(), bad) == {3: Code.PROTOCOL_ERROR}


MALFORMED = {
    "upper case": encode([*REQUEST, (b"A", b"1")]),
    "no path": encode(REQUEST[:2]),
    "length without body": encode([*REQUEST, (b"content-length", b"1")]),
}


@pytest.mark.parametrize("block", MALFORMED.values(), ids=MALFORMED)
def test_malformed_requests_are_reset_and_the_next_is_taken(block: bytes) -> None:
    server = wire.server()
    assert stream_error(server, wire.headers(1, block, ended=True)) == {1: Code.PROTOCOL_ERROR}
    assert [type(e) for e in server.receive(wire.headers(3, ended=True), 0.0)] == [HeadCame]


def test_content_length_and_data_have_to_agree() -> None:
    block = encode([*REQUEST, (b"content-length", b"3")])
    start = wire.headers(1, block)
    for more in (
        wire.data(1, b"abcd"),
        wire.data(1, b"ab", ended=True),
        wire.data(1, b"ab") + wire.data(1, b"", ended=True),
        wire.data(1, b"ab") + wire.headers(1, encode([(b"a", b"b")]), ended=True),
        wire.frame(0, frames.PADDED | frames.END_STREAM, 1, b"\1ab\0"),
    ):
        assert stream_error(wire.server(), start + more) == {1: Code.PROTOCOL_ERROR}
    server = wire.server()
    padded = wire.frame(0, frames.PADDED, 1, b"\4ab\0\0\0\0")
    assert stream_error(server, start + padded + wire.data(1, b"c", ended=True)) == {}


def test_stream_numbers_are_odd_and_grow() -> None:
    assert connection_error(wire.server(), wire.headers(2))[0] == Code.PROTOCOL_ERROR
    assert connection_error(wire.server(), wire.headers(0))[0] == Code.PROTOCOL_ERROR
    server = wire.server()
    server.receive(wire.headers(5, ended=True), 0.0)
    assert connection_error(server, wire.headers(3, ended=True))[0] == Code.PROTOCOL_ERROR


def test_one_stream_too_many_is_refused_and_the_table_keeps_up() -> None:
    server = wire.server(Limits(max_concurrent_streams=1))
    add = GET + b"\x40\x01a\x011"
    *_, event = server.receive(wire.headers(1) + wire.headers(3, add), 0.0)
    assert event == Mistake(3, "streams")
    assert wire.resets(server.outgoing()) == {3: Code.REFUSED_STREAM}
    assert stream_error(server, wire.data(3, b"late", ended=True)) == {}
    server.receive(wire.data(1, b"", ended=True), 0.0)
    server.respond(1, wire.OK, b"", wire.TRAILERS)
    (event,) = server.receive(wire.headers(5, GET + b"\xbe", ended=True), 0.0)
    assert event.head.get(b"a") == b"1"


def test_refused_streams_are_a_flood_once_the_limit_is_known() -> None:
    limits = Limits(max_concurrent_streams=1, max_resets=5)
    many = b"".join(wire.headers(n) for n in range(1, 41, 2))
    assert len(stream_error(wire.server(limits, acknowledged=False), many)) == 19
    assert connection_error(wire.server(limits), many) == (Code.ENHANCE_YOUR_CALM, "resets")


@pytest.mark.parametrize("more", [wire.data(1, b"x"), wire.headers(1)])
def test_frames_behind_the_end(more: bytes) -> None:
    server = wire.server()
    assert stream_error(server, wire.headers(1, ended=True) + more) == {1: Code.STREAM_CLOSED}
    server = wire.server()
    server.receive(wire.headers(1, ended=True), 0.0)
    server.respond(1, wire.OK, b"", wire.TRAILERS)
    server.outgoing()
    assert connection_error(server, more)[0] == Code.STREAM_CLOSED
    server = wire.server()
    assert server.receive(wire.headers(1) + wire.frame(3, 0, 1, b"\0\0\0\x08"), 0.0)[1:] == [
        StreamReset(1, Code.CANCEL)
    ]
    assert stream_error(server, more) == {1: Code.STREAM_CLOSED}
    server = wire.server()
    server.receive(wire.headers(1), 0.0)
    server.reset(1)
    server.outgoing()
    assert stream_error(server, more) == {}  # it cannot know yet


def test_frames_that_are_welcome_behind_the_end() -> None:
    server = wire.server()
    server.receive(wire.headers(1, ended=True), 0.0)
    server.respond(1, wire.OK, b"", wire.TRAILERS)
    server.outgoing()
    late = frames.window_update(1, 5) + wire.frame(2, 0, 1, bytes(5)) + frames.reset(1, 8)
    assert server.receive(late, 0.0) == []
    assert server.outgoing() == b""


def test_a_door_closes_in_two_steps() -> None:
    server = wire.server()
    server.receive(wire.headers(1), 0.0)
    server.drain("age")
    server.receive(wire.headers(3), 0.0)
    server.stop()
    server.stop()
    sent = wire.taken_apart(server.outgoing())
    assert [frame.payload for frame in sent] == [
        b"\x7f\xff\xff\xff\0\0\0\0age",
        b"\0\0\0\x03\0\0\0\0",
    ]
    late = wire.headers(5, GET + b"\x40\x01a\x011") + wire.data(5, b"x", ended=True)
    assert server.receive(late, 0.0) == []
    assert [type(e) for e in server.receive(wire.data(3, b"x", ended=True), 0.0)] == [DataCame]
    assert server.respond(3, wire.OK, b"", wire.TRAILERS)


def test_a_header_list_somewhat_too_long_costs_the_stream() -> None:
    server = wire.server(Limits(max_header_bytes=300))
    block = encode([*REQUEST, *[(b"a", b"b")] * 10])
    assert stream_error(server, wire.headers(1, block)) == {1: Code.ENHANCE_YOUR_CALM}
    assert stream_error(server, wire.headers(3)) == {}


def test_a_client_may_go_away() -> None:
    assert wire.server().receive(frames.goaway(0, 0, b"bye"), 0.0) == [GoingAway(0, 0, b"bye", ())]
