"""Bytes in, events out, however they are cut; hostile bytes end in an event."""

import tracemalloc

import pytest
from hypothesis import given, strategies as st

from common.wire.http2 import (
    Client,
    Code,
    DataCame,
    Failed,
    Limits,
    Server,
    TrailersCame,
    encode,
    frames,
)
from common.wire.http2.connection import Connection
from tests.fakes import http2_wire as wire
from tests.fakes.http2_wire import GET, connection_error, frame, merged, stream_error

PROTOCOL = Code.PROTOCOL_ERROR
START = frame(1, 0, 1, GET[:5])
FATAL = {
    "a frame too large": (frame(0, 0, 1, bytes(16385)), Code.FRAME_SIZE_ERROR, "protocol"),
    "an unknown one too large": (frame(99, 0, 0, bytes(16385)), Code.FRAME_SIZE_ERROR, "protocol"),
    "DATA on 0": (wire.data(0, b"x"), PROTOCOL, "protocol"),
    "DATA on idle": (wire.data(1, b"x"), PROTOCOL, "protocol"),
    "empty DATA on idle": (wire.data(1), PROTOCOL, "protocol"),
    "padding too long": (wire.headers(1) + frame(0, 8, 1, b"\2x"), PROTOCOL, "protocol"),
    "padded and empty": (wire.headers(1) + frame(0, 8, 1), Code.FRAME_SIZE_ERROR, "protocol"),
}  # fmt: skip


@pytest.mark.parametrize(("sent", "code", "cause"), FATAL.values(), ids=FATAL)
def test_mistakes_that_cost_the_connection(sent: bytes, code: Code, cause: str) -> None:
    assert connection_error(wire.server(), sent) == (code, cause)


def test_it_is_known_since_when_something_is_unfinished() -> None:
    server = wire.server()
    assert server.unfinished_since is None
    block = frame(1, 1, 1, GET[:5])
    for now, sent, since in (
        (1.0, block[:3], 1.0),
        (2.0, block[3:11], 1.0),
        (3.0, block[11:], 3.0),
        (4.0, frame(9, 0, 1, GET[5:9])[:4], 3.0),
        (5.0, frame(9, 0, 1, GET[5:9])[4:], 3.0),
        (6.0, frame(9, 4, 1, GET[9:]), None),
        (7.0, wire.headers(3) + wire.data(3, b"abc")[:-1], None),
        (8.0, b"c" + frame(6, 0, 0, bytes(8))[:-1], 8.0),
        (9.0, b"\0" + frame(6, 0, 0, bytes(8))[:-1], 9.0),
        (9.5, b"\0", None),
    ):
        server.receive(sent, now)
        assert server.unfinished_since == since


def test_padding_and_priority_are_taken_off() -> None:
    server = wire.server()
    padded = frame(1, 0x2C, 1, b"\3" + b"\0\0\0\0\0" + GET + bytes(3))
    head, data, end = server.receive(
        padded + frame(0, 8, 1, b"\2ab\0\0") + frame(0, 9, 1, b"\1\0"), 0.0
    )
    assert head.head.path == b"/service/Method"
    assert (data, end) == (DataCame(1, b"ab", False), DataCame(1, b"", True))


def test_a_stream_may_not_send_beyond_its_window() -> None:
    server = wire.server(Limits(connection_window_bytes=1 << 20))
    server.receive(wire.headers(1), 0.0)
    for _ in range(4):
        assert stream_error(server, wire.data(1, bytes(16384))) == {}
    assert server.credit(1, 100)
    assert not server.credit(1, 0)
    server.outgoing()
    assert stream_error(server, wire.data(1, bytes(100))) == {}
    assert stream_error(server, wire.data(1, b"x")) == {1: Code.FLOW_CONTROL_ERROR}


def test_a_connection_may_not_send_beyond_its_window() -> None:
    server = wire.server(Limits(connection_window_bytes=65_535, max_concurrent_streams=9))
    full = wire.data(1, bytes(16384)) * 3 + wire.data(1, bytes(16383))
    assert stream_error(server, wire.headers(1) + wire.headers(3) + full) == {}
    assert connection_error(server, wire.data(3, b"x"))[0] == Code.FLOW_CONTROL_ERROR


def test_bytes_of_streams_given_up_are_credited_to_the_connection() -> None:
    server = wire.server(Limits(connection_window_bytes=65_535))
    server.receive(wire.headers(1) + wire.data(1, bytes(100))[:50], 0.0)
    server.credit_connection(41)
    server.reset(1, Code.NO_ERROR)
    server.outgoing()
    assert server.receive(bytes(59), 0.0) == []
    credited = 0
    for _ in range(200):
        assert server.receive(wire.data(1, bytes(1000)), 0.0) == []
        for sent in wire.taken_apart(server.outgoing()):
            assert (sent.kind, sent.stream) == (frames.WINDOW_UPDATE, 0)
            credited += int.from_bytes(sent.payload)
    assert credited > 180_000


def conversation(number: int, body: bytes, trailers: bool, padded: int) -> bytes:  # noqa: FBT001
    start = wire.headers(number)
    for at in range(0, len(body), 5000):
        piece = body[at : at + 5000]
        if padded:
            start += frame(0, 8, number, bytes((padded,)) + piece + bytes(padded))
        else:
            start += wire.data(number, piece)
    if trailers:
        return start + wire.headers(number, encode([(b"a", b"b")]), ended=True)
    return start + wire.data(number, b"end", ended=True)


talks = st.lists(
    st.tuples(st.binary(max_size=100) | st.just(b"x" * 30_000), st.booleans(), st.integers(0, 3)),
    max_size=5,
)
cuts = st.lists(st.integers(1, 40_000) | st.integers(1, 30), min_size=1)


def cut(sent: bytes, sizes: list[int]) -> list[bytes]:
    pieces, at, turn = [], 0, 0
    while at < len(sent):
        size = sizes[turn % len(sizes)] if len(sent) < 3000 or turn < 50 else 5000
        pieces.append(sent[at : at + size])
        at, turn = at + size, turn + 1
    return pieces


@given(talks, cuts)
def test_it_does_not_matter_how_bytes_are_cut(script: list, sizes: list[int]) -> None:
    sent = wire.frame(6, 0, 0, bytes(8)).join(
        conversation(2 * i + 1, *talk) for i, talk in enumerate(script)
    )
    at_once, in_pieces = wire.server(), wire.server()
    expected = at_once.receive(sent, 0.0)
    found = [e for piece in cut(sent, sizes) for e in in_pieces.receive(piece, 0.0)]
    assert merged(found) == merged(expected)
    assert in_pieces.outgoing() == at_once.outgoing()
    assert len(in_pieces.streams) == len(script)
    assert not any(isinstance(e, Failed) for e in expected)


def listen(connection: Connection, sent: list[bytes], bodies: dict[int, bytes]) -> list[int]:
    """Collect *bodies*, give credit for them, and return the streams that ended."""
    ended = []
    for event in (e for piece in sent for e in connection.receive(piece, 0.0)):
        assert not isinstance(event, Failed)
        if isinstance(event, DataCame):
            bodies[event.stream] = bodies.get(event.stream, b"") + event.data
            connection.credit_connection(len(event.data))
            connection.credit(event.stream, len(event.data))
        if isinstance(event, TrailersCame) or (isinstance(event, DataCame) and event.ended):
            ended.append(event.stream)
    return ended


@given(talks, cuts)
def test_our_client_and_our_server_understand_each_other(script: list, sizes: list[int]) -> None:
    client, server = Client(Limits()), Server(Limits())
    sent, asked, answered = {}, {}, {}
    for body, trailers, _ in script:
        number = client.request(GET)
        sent[number] = body
        assert client.data(number, body, ended=not trailers)
        if trailers:
            client.headers(number, encode([(b"a", b"b")]), ended=True)
    while (pieces := cut(client.outgoing(), sizes)) or client.streams:
        for number in listen(server, pieces, asked):
            assert server.respond(number, wire.OK, asked.get(number, b"")[::-1], wire.TRAILERS)
        listen(client, cut(server.outgoing(), sizes), answered)
    assert {n: b[::-1] for n, b in sent.items() if b} == {n: b for n, b in answered.items() if b}
    assert client.streams == server.streams == {}
    assert (client.queued, server.queued) == (0, 0)


some_frames = st.builds(
    frame,
    st.integers(0, 10),
    st.sampled_from([0, 1, 4, 5, 8, 9, 0x20, 0x24, 0x2D, 0xFF]),
    st.sampled_from([0, 1, 1, 2, 3, 5, 0x8000_0001, 0x7FFF_FFFF]),
    st.sampled_from([b"", GET, GET[:7], bytes(4), bytes(5), bytes(8), b"\0\0\0\1", wire.TRAILERS])
    | st.binary(max_size=30),
)


@given(st.lists(some_frames | st.binary(max_size=40) | st.just(wire.headers(1)), max_size=30), cuts)
@pytest.mark.parametrize("role", [wire.server, wire.client])
def test_hostile_bytes_end_in_events(role, pieces: list[bytes], sizes: list[int]) -> None:
    connection = role()
    if isinstance(connection, Client):
        connection.request(GET)
        connection.data(1, bytes(100))
    for piece in cut(b"".join(pieces), sizes):
        events = connection.receive(piece, 0.0)
        assert not any(isinstance(event, Failed) for event in events[:-1])
        for event in events:
            if isinstance(event, DataCame):
                connection.credit_connection(len(event.data))
                connection.credit(event.stream, len(event.data))
        wire.taken_apart(connection.outgoing())


@given(st.lists(some_frames, max_size=10))
def test_hostile_bytes_mean_the_same_however_they_are_cut(pieces: list[bytes]) -> None:
    sent = b"".join(pieces)
    at_once, in_pieces = wire.server(), wire.server()
    expected = at_once.receive(sent, 0.0)
    found = [e for i in range(len(sent)) for e in in_pieces.receive(sent[i : i + 1], 0.0)]
    if not (expected and isinstance(expected[-1], Failed)):
        assert merged(found) == merged(expected)
        assert in_pieces.outgoing() == at_once.outgoing()
    else:
        assert found[-1] == expected[-1]


def test_memory_is_bounded_whatever_comes() -> None:
    limits = Limits(max_resets=1 << 30, max_empty_frames=1 << 30, max_pings=1 << 30)
    server = wire.server(limits)
    number = 1
    tracemalloc.start()
    try:
        for i in range(1500):
            sent = wire.headers(number, GET + encode([(b"a", b"%d" % i)]))
            sent += wire.data(number, bytes(700))[:-1] + b"x" + frames.reset(number, 8)
            for event in server.receive(sent + frame(6, 0, 0, bytes(8)), 0.0):
                if isinstance(event, DataCame):
                    server.credit_connection(len(event.data))
            server.outgoing()
            number += 2
        assert server.failed is None
        assert tracemalloc.get_traced_memory()[0] < 500_000
    finally:
        tracemalloc.stop()
