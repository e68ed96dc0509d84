"""RFC 9113 section 6.9: WINDOW_UPDATE, and windows that the server keeps to."""

import pytest

from tests.conformance.http2 import wire
from tests.conformance.http2.client import ANSWER
from tests.conformance.http2.wire import Code, Flag, Kind, Setting

pytestmark = pytest.mark.wallclock


async def test_6_9_a_larger_window_of_the_connection_is_taken(client) -> None:
    await client.send(wire.window(0, 1), client.call(1))
    await client.accepts(1)


async def test_6_9_a_larger_window_of_a_stream_lets_data_through(held) -> None:
    await held.send(held.call(1), wire.window(1, ANSWER))
    await held.accepts(1)


async def test_6_9_a_window_of_the_connection_does_not_grow_by_nothing(client) -> None:
    await client.send(wire.window(0, 0))
    await client.connection_error(Code.PROTOCOL_ERROR)


async def test_6_9_a_window_of_a_stream_does_not_grow_by_nothing(held) -> None:
    await held.send(held.call(1), wire.window(1, 0))
    await held.stream_error(1, Code.PROTOCOL_ERROR)


@pytest.mark.parametrize("length", [0, 3, 5])
async def test_6_9_a_window_update_has_four_bytes(client, length) -> None:
    await client.send(wire.frame(Kind.WINDOW_UPDATE, 0, 0, bytes(length)))
    await client.connection_error(Code.FRAME_SIZE_ERROR)


async def test_6_9_the_reserved_bit_of_an_increment_is_ignored(held) -> None:
    await held.send(held.call(1), wire.window(1, 1 << 31 | 1))
    assert len((await held.data(1)).payload) == 1


async def test_6_9_1_no_more_is_sent_than_the_window_of_a_stream_allows(held) -> None:
    await held.send(held.call(1))
    for _ in range(ANSWER):
        await held.alive()  # nothing has come but the PING, and the DATA to come proves it
        await held.send(wire.window(1, 1))
        assert len((await held.data(1)).payload) == 1


@pytest.mark.slow
@pytest.mark.timeout(60)  # 9,362 calls
async def test_6_9_1_no_more_is_sent_than_the_window_of_the_connection_allows(client) -> None:
    """The last answer of so many that fill the window has room for a part of it only."""
    calls, left = wire.DEFAULT_WINDOW // ANSWER, wire.DEFAULT_WINDOW % ANSWER
    for first in range(0, calls, 50):
        streams = range(1 + 2 * first, 1 + 2 * min(first + 50, calls), 2)
        await client.send(*map(client.call, streams))
        got = 0
        while got < ANSWER * len(streams):
            frame = await client.next()
            assert frame is not None
            got += len(frame.payload) if frame.kind == Kind.DATA else 0
    last = 1 + 2 * calls
    await client.send(client.call(last))
    await client.alive()
    if left:
        assert len((await client.data(last)).payload) == left
    await client.alive()  # nothing has come but the PING, and the DATA to come proves it
    await client.send(wire.window(0, 1))
    assert len((await client.data(last)).payload) == 1


async def test_6_9_1_a_window_of_the_connection_does_not_overflow(client) -> None:
    await client.send(wire.window(0, wire.MAX_WINDOW), wire.window(0, wire.MAX_WINDOW))
    await client.connection_error(Code.FLOW_CONTROL_ERROR)


async def test_6_9_1_a_window_of_a_stream_does_not_overflow(held) -> None:
    grow = wire.window(1, wire.MAX_WINDOW)
    await held.send(wire.headers(1, held.block()), grow, grow)
    await held.wait_for(
        lambda frame: (
            (frame.kind, frame.stream) == (Kind.RST_STREAM, 1)
            and frame.code == Code.FLOW_CONTROL_ERROR
        ),
        "RST_STREAM with FLOW_CONTROL_ERROR",
    )
    await held.alive()


async def test_6_9_2_a_new_initial_window_applies_to_streams_that_are_open(held) -> None:
    await held.send(held.call(1))
    await held.alive()
    await held.send(wire.settings((Setting.INITIAL_WINDOW_SIZE, 1)))
    await held.acknowledged()
    assert len((await held.data(1)).payload) == 1


async def test_6_9_2_a_window_below_zero_must_grow_above_it_first(stranger) -> None:
    await stranger.start((Setting.INITIAL_WINDOW_SIZE, 3))
    await stranger.send(stranger.call(1))
    assert len((await stranger.data(1)).payload) == 3
    await stranger.send(wire.settings((Setting.INITIAL_WINDOW_SIZE, 2)))  # now it is at -1
    await stranger.acknowledged()
    await stranger.send(wire.window(1, 2))
    assert len((await stranger.data(1)).payload) == 1


async def test_6_9_2_an_initial_window_that_overflows_a_stream_is_an_error(held) -> None:
    await held.send(wire.headers(1, held.block()), wire.window(1, 1))
    await held.alive()
    await held.send(wire.settings((Setting.INITIAL_WINDOW_SIZE, wire.MAX_WINDOW)))
    await held.connection_error(Code.FLOW_CONTROL_ERROR)


async def test_6_9_2_an_initial_window_above_the_maximum_is_an_error(client) -> None:
    await client.send(wire.settings((Setting.INITIAL_WINDOW_SIZE, 2**31)))
    await client.connection_error(Code.FLOW_CONTROL_ERROR)


async def test_6_9_padding_counts_and_its_room_is_given_back(client) -> None:
    """More padding than any window: the server gives room back for what it does not keep."""
    padding = wire.frame(Kind.DATA, Flag.PADDED, 1, wire.padded(b"", 255))
    await client.send(wire.headers(1, client.block()))
    room = {0: wire.DEFAULT_WINDOW, 1: wire.DEFAULT_WINDOW}
    room[1] = client.settings.get(Setting.INITIAL_WINDOW_SIZE, wire.DEFAULT_WINDOW)
    for _ in range(min(room.values()) // 256):
        await client.send(padding)
    grown = await client.wait_for(lambda frame: frame.kind == Kind.WINDOW_UPDATE, "WINDOW_UPDATE")
    assert int.from_bytes(grown.payload) > 0
