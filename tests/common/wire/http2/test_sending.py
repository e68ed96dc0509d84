"""What goes out stays within the peer's windows and our bounds, and keeps its order."""

from hypothesis import given, strategies as st

from common.wire.http2 import Code, Drained, Failed, Limits, StreamReset, frames
from tests.fakes import http2_wire as wire
from tests.fakes.http2_wire import GET, OK, TRAILERS, connection_error, stream_error


def sizes(sent: bytes) -> list[tuple[int, int, int]]:
    return [(f.stream, len(f.payload), f.flags) for f in wire.taken_apart(sent) if f.kind == 0]


def test_a_body_waits_for_the_window_and_the_end_comes_last() -> None:
    client = wire.client(None, (frames.INITIAL_WINDOW_SIZE, 10))
    client.request(GET)
    assert client.data(1, b"x" * 25, ended=True)
    assert sizes(client.outgoing()) == [(1, 10, 0)]
    assert client.waits(1)
    assert client.queued == 15
    assert client.receive(frames.window_update(1, 14), 0.0) == []
    assert client.receive(frames.window_update(1, 14), 0.0) == [Drained(1)]
    assert sizes(client.outgoing()) == [(1, 14, 0), (1, 1, 1)]
    assert client.queued == 0


def test_trailers_wait_behind_the_body() -> None:
    server = wire.server()
    server.receive(wire.settings((4, 3)) + wire.headers(1, ended=True), 0.0)
    server.outgoing()
    assert server.respond(1, OK, b"abcdef", TRAILERS)
    assert wire.kinds(server.outgoing()) == [1, 0]
    assert server.receive(frames.window_update(1, 100), 0.0) == [Drained(1)]
    assert wire.kinds(server.outgoing()) == [0, 1]
    assert server.streams == {}


def test_a_window_may_become_negative_and_holds_back_until_it_is_not() -> None:
    client = wire.client(None, (4, 10))
    client.request(GET)
    client.data(1, b"x" * 10)
    client.receive(wire.settings((4, 4)), 0.0)
    client.outgoing()
    assert client.data(1, b"y" * 5, ended=True)
    client.receive(frames.window_update(1, 6), 0.0)
    assert sizes(client.outgoing()) == []
    client.receive(frames.window_update(1, 1), 0.0)
    assert sizes(client.outgoing()) == [(1, 1, 0)]
    client.receive(wire.settings((4, 100)), 0.0)
    assert sizes(client.outgoing()) == [(1, 4, 1)]


def test_an_empty_end_needs_no_window() -> None:
    client = wire.client(None, (4, 0))
    client.request(GET)
    assert client.data(1, b"", ended=True)
    assert sizes(client.outgoing()) == [(1, 0, 1)]


def test_large_bodies_are_cut_into_frames_that_the_peer_takes() -> None:
    client = wire.client(None, (4, 1 << 20))
    client.receive(frames.window_update(0, 1 << 20), 0.0)
    client.request(GET)
    client.data(1, b"x" * 40_000, ended=True)
    assert sizes(client.outgoing()) == [(1, 16384, 0), (1, 16384, 0), (1, 7232, 1)]
    client.receive(wire.settings((5, 65536)), 0.0)
    client.request(GET)
    client.data(3, b"x" * 40_000, ended=True)
    assert sizes(client.outgoing()) == [(3, 40_000, 1)]


def test_streams_take_turns_in_the_connections_window() -> None:
    client = wire.client(None, (4, 1 << 20))
    for number in (1, 3):
        client.request(GET)
        client.data(number, b"x" * 80_000, ended=True)
    client.outgoing()
    client.receive(frames.window_update(0, 4 * 16384), 0.0)
    assert [stream for stream, _, _ in sizes(client.outgoing())] == [1, 3, 3, 3, 3]
    assert client.queued == 160_000 - 65_535 - 4 * 16384


def test_what_is_queued_is_bounded() -> None:
    client = wire.client(Limits(max_queued_bytes=100), (4, 0))
    for _ in range(3):
        client.request(GET)
    assert client.data(1, b"x" * 80)
    assert not client.data(3, b"x" * 80)
    assert client.data(3, b"x" * 20)
    assert client.queued == 100
    client.reset(1)
    assert client.data(5, b"x" * 80)
    client.receive(frames.reset(5, 8), 0.0)
    assert client.queued == 20


def test_a_server_gives_up_answers_that_nobody_reads() -> None:
    server = wire.server(Limits(max_queued_bytes=10))
    server.receive(wire.settings((4, 0)) + wire.headers(1, ended=True), 0.0)
    server.receive(wire.headers(3, ended=True), 0.0)
    server.outgoing()
    assert server.respond(1, OK, b"x" * 10, TRAILERS)
    assert not server.respond(3, OK, b"x" * 10, TRAILERS)
    assert wire.resets(server.outgoing()) == {3: Code.ENHANCE_YOUR_CALM}


def test_window_updates_that_are_errors() -> None:
    update = frames.window_update
    assert connection_error(wire.server(), update(0, 0))[0] == Code.PROTOCOL_ERROR
    assert connection_error(wire.server(), update(1, 1))[0] == Code.PROTOCOL_ERROR
    too_much = update(0, 0x7FFF_FFFF)
    assert connection_error(wire.server(), too_much)[0] == Code.FLOW_CONTROL_ERROR
    start = wire.headers(1)
    assert stream_error(wire.server(), start + update(1, 0)) == {1: Code.PROTOCOL_ERROR}
    assert stream_error(wire.server(), start + update(1, 0x7FFF_FFFF)) == {
        1: Code.FLOW_CONTROL_ERROR
    }
    server = wire.server()
    server.receive(start + update(1, 0x7FFF_FFFF - 65535), 0.0)
    bigger = wire.settings((4, 65536))
    assert connection_error(server, bigger)[0] == Code.FLOW_CONTROL_ERROR


def test_a_peer_without_a_table_is_told_that_we_need_none() -> None:
    server = wire.server()
    server.receive(wire.settings((1, 0)) + wire.headers(1, ended=True), 0.0)
    server.receive(wire.headers(3, ended=True), 0.0)
    server.outgoing()
    for number, prefix in ((1, b"\x20"), (3, b"")):
        server.respond(number, OK, b"", TRAILERS)
        assert wire.taken_apart(server.outgoing())[0].payload == prefix + OK


def test_long_header_blocks_are_continued() -> None:
    server = wire.server()
    server.receive(wire.headers(1, ended=True), 0.0)
    server.respond(1, OK + bytes(20_000), b"", TRAILERS)
    assert wire.kinds(server.outgoing()) == [1, 9, 1]


def test_nothing_is_sent_on_streams_that_are_gone() -> None:
    server = wire.server()
    server.receive(wire.headers(1, ended=True), 0.0)
    assert server.reset(1, Code.INTERNAL_ERROR)
    server.outgoing()
    assert not server.respond(1, OK, b"", TRAILERS)
    assert not server.headers(1, OK)
    assert not server.data(1, b"")
    assert not server.reset(1)
    assert not server.credit(1, 1)
    assert server.outgoing() == b""


def test_credit_for_the_connection_is_told_in_steps() -> None:
    server = wire.server()
    server.receive(wire.headers(1), 0.0)
    for _ in range(20):
        server.receive(wire.data(1, bytes(3000)), 0.0)
        server.credit_connection(3000)
    assert server.outgoing() == b""
    server.credit_connection(1 << 18)
    assert server.outgoing() == frames.window_update(0, 60_000 + (1 << 18))


bodies = st.lists(st.binary(min_size=0, max_size=60_000), min_size=1, max_size=4)
moves = st.lists(
    st.tuples(st.sampled_from("wcs"), st.integers(0, 3), st.integers(1, 60_000)), max_size=30
)


@given(bodies, moves)
def test_whatever_the_windows_do_bodies_arrive_whole(bodies: list[bytes], moves: list) -> None:
    client = wire.client(None, (4, 1000))
    windows = {0: 65_535} | {2 * i + 1: 1000 for i in range(len(bodies))}
    first = 1000
    got = dict.fromkeys(windows, b"")
    ended = set()
    drained = []

    def look() -> None:
        for kind, flags, stream, payload in wire.taken_apart(client.outgoing()):
            if kind != frames.DATA:
                continue
            windows[stream] -= len(payload)
            windows[0] -= len(payload)
            got[stream] += payload
            assert not payload or min(windows[stream], windows[0]) >= 0
            assert stream not in ended
            ended.update({stream} if flags else ())

    for body in bodies:
        number = client.request(GET)
        assert client.data(number, body, ended=True)
    waiting = set(client._waiting)
    look()
    script = [*moves, ("s", 0, 1 << 17), ("c", 0, 1 << 20)]
    for kind, which, size in script:
        if kind == "s":
            for stream in windows:
                windows[stream] += (size - first) * bool(stream)
            first = size
            sent = wire.settings((4, size))
        else:
            stream = 0 if kind == "c" else 2 * (which % len(bodies)) + 1
            if stream and stream not in client.streams:
                continue
            windows[stream] += size
            sent = frames.window_update(stream, size)
        events = client.receive(sent, 0.0)
        assert not any(isinstance(e, Failed | StreamReset) for e in events)
        drained += [e.stream for e in events if isinstance(e, Drained)]
        look()
    assert [got[2 * i + 1] for i in range(len(bodies))] == bodies
    assert len(ended) == len(bodies)
    assert sorted(drained) == sorted(waiting)
    assert client.queued == 0
