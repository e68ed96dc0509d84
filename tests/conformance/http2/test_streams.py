"""RFC 9113 section 5: states of a stream, identifiers, concurrency, priorities, errors."""

import pytest

from tests.conformance.http2 import wire
from tests.conformance.http2.client import MESSAGE
from tests.conformance.http2.wire import Code, Flag, Kind, Setting

pytestmark = pytest.mark.wallclock


@pytest.mark.parametrize(
    "frame",
    [
        wire.data(1, b"test", end=True),
        wire.reset(1),
        wire.window(1, 100),
        wire.continuation(1, b"\x82", whole=True),
    ],
    ids=["DATA", "RST_STREAM", "WINDOW_UPDATE", "CONTINUATION"],
)
async def test_5_1_an_idle_stream_takes_headers_and_priority_only(client, frame) -> None:
    await client.send(frame)
    await client.connection_error(Code.PROTOCOL_ERROR)


async def test_5_1_an_idle_stream_takes_priority(client) -> None:
    await client.send(wire.priority(1))
    await client.alive()


async def test_5_1_data_after_the_end_of_a_request_is_a_stream_error(held) -> None:
    await held.send(held.call(1), wire.data(1, b"test", end=True))
    await held.stream_error(1, Code.STREAM_CLOSED)


async def test_5_1_headers_after_the_end_of_a_request_are_a_stream_error(held) -> None:
    await held.send(held.call(1), wire.headers(1, held.block(), end=True))
    await held.stream_error(1, Code.STREAM_CLOSED)


async def test_5_1_a_continuation_after_the_end_of_a_request_is_an_error(held) -> None:
    await held.send(held.call(1), wire.continuation(1, held.block(), whole=True))
    await held.stream_error(1, Code.STREAM_CLOSED, Code.PROTOCOL_ERROR)


async def test_5_1_window_updates_are_taken_after_the_end_of_a_request(held) -> None:
    await held.send(held.call(1), wire.window(1, 1))
    frame = await held.data(1)
    assert len(frame.payload) == 1


async def test_5_1_priority_is_taken_after_the_end_of_a_request(held) -> None:
    await held.send(held.call(1), wire.priority(1), wire.window(1, 1))
    frame = await held.data(1)
    assert len(frame.payload) == 1


async def test_5_1_a_reset_is_taken_after_the_end_of_a_request(held) -> None:
    await held.send(held.call(1), wire.reset(1))
    await held.alive()


async def test_5_1_data_after_our_reset_is_a_stream_error(client) -> None:
    await client.send(wire.headers(1, client.block()), wire.reset(1), wire.data(1, b"test"))
    await client.stream_error(1, Code.STREAM_CLOSED)


async def test_5_1_headers_after_our_reset_are_a_stream_error(client) -> None:
    opened = wire.headers(1, client.block())
    await client.send(opened, wire.reset(1), wire.headers(1, client.block(), end=True))
    await client.stream_error(1, Code.STREAM_CLOSED)


async def test_5_1_a_continuation_after_our_reset_is_an_error(client) -> None:
    opened = wire.headers(1, client.block())
    await client.send(opened, wire.reset(1), wire.continuation(1, b"\x82", whole=True))
    await client.stream_error(1, Code.STREAM_CLOSED, Code.PROTOCOL_ERROR)


async def test_5_1_data_on_a_finished_stream_is_an_error(client) -> None:
    await client.send(client.call(1))
    await client.accepts(1)
    await client.send(wire.data(1, b"test", end=True))
    await client.stream_error(1, Code.STREAM_CLOSED)


async def test_5_1_headers_on_a_finished_stream_are_a_connection_error(client) -> None:
    await client.send(client.call(1))
    await client.accepts(1)
    await client.send(wire.headers(1, client.block(), end=True))
    await client.connection_error(Code.STREAM_CLOSED)


async def test_5_1_a_continuation_on_a_finished_stream_is_a_connection_error(client) -> None:
    await client.send(client.call(1))
    await client.accepts(1)
    await client.send(wire.continuation(1, b"\x82", whole=True))
    await client.connection_error(Code.STREAM_CLOSED, Code.PROTOCOL_ERROR)


async def test_5_1_priority_is_taken_on_a_finished_stream(client) -> None:
    await client.send(client.call(1))
    await client.accepts(1)
    await client.send(wire.priority(1))
    await client.alive()


@pytest.mark.parametrize(
    "frame", [wire.window(1, 1), wire.reset(1)], ids=["WINDOW_UPDATE", "RST_STREAM"]
)
async def test_5_1_what_crossed_the_end_of_a_stream_on_its_way_is_ignored(client, frame) -> None:
    await client.send(client.call(1))
    await client.accepts(1)
    await client.send(frame)
    await client.alive()


async def test_5_1_1_streams_of_clients_have_odd_numbers(client) -> None:
    await client.send(client.call(2))
    await client.connection_error(Code.PROTOCOL_ERROR)


async def test_5_1_1_a_new_stream_has_a_higher_number_than_all_before(client) -> None:
    await client.send(client.call(5), wire.headers(3, client.block(), end=True))
    await client.connection_error(Code.PROTOCOL_ERROR)


async def test_5_1_1_numbers_may_be_left_out(client) -> None:
    await client.send(client.call(1), client.call(9), client.call(2**31 - 1))
    for stream in (1, 9, 2**31 - 1):
        await client.accepts(stream)


async def test_5_1_2_more_streams_than_allowed_are_refused(client) -> None:
    limit = client.settings[Setting.MAX_CONCURRENT_STREAMS]
    block = client.block()
    await client.send(*(wire.headers(1 + 2 * n, block) for n in range(limit + 1)))
    await client.stream_error(1 + 2 * limit, Code.REFUSED_STREAM, Code.PROTOCOL_ERROR)


async def test_5_1_2_as_many_streams_as_allowed_are_served(client) -> None:
    limit = client.settings[Setting.MAX_CONCURRENT_STREAMS]
    block, streams = client.block(), range(1, 2 * limit, 2)
    await client.send(*(wire.headers(stream, block) for stream in streams))
    await client.alive()
    await client.send(wire.data(streams[-1], MESSAGE, end=True))
    await client.accepts(streams[-1])


async def test_5_3_1_headers_that_depend_on_their_own_stream_are_an_error(client) -> None:
    payload = wire.dependency(on=1) + client.block()
    await client.send(wire.headers(1, payload, end=True, flags=Flag.PRIORITY))
    await client.stream_error(1, Code.PROTOCOL_ERROR)


async def test_5_3_1_a_priority_that_depends_on_its_own_stream_is_an_error(client) -> None:
    await client.send(wire.priority(1, wire.dependency(on=1)))
    await client.stream_error(1, Code.PROTOCOL_ERROR)


async def test_5_4_1_a_connection_error_closes_the_connection(client) -> None:
    await client.send(wire.frame(Kind.PING, 0, 3, b"misplace"))
    await client.connection_error(Code.PROTOCOL_ERROR)


async def test_5_4_1_goaway_tells_the_last_stream_that_was_taken(client) -> None:
    await client.send(client.call(1), client.call(3))
    await client.accepts(1)
    await client.accepts(3)
    await client.send(wire.frame(Kind.PING, 0, 3, b"misplace"))
    goaway = await client.connection_error(Code.PROTOCOL_ERROR)
    assert int.from_bytes(goaway.payload[:4]) == 3


async def test_5_5_an_unknown_frame_on_a_stream_is_ignored(client) -> None:
    unknown = wire.frame(wire.UNKNOWN_TYPE, 0xFF, 1, b"extension")
    await client.send(
        wire.headers(1, client.block()), unknown, wire.data(1, MESSAGE, end=True), unknown
    )
    await client.accepts(1)
    await client.alive()


async def test_5_5_an_unknown_frame_within_a_header_block_is_an_error(client) -> None:
    block = client.block()
    await client.send(
        wire.headers(1, block[:10], whole=False),
        wire.frame(wire.UNKNOWN_TYPE, 0, 1, b"extension"),
        wire.continuation(1, block[10:], whole=True),
    )
    await client.connection_error(Code.PROTOCOL_ERROR)
