"""RFC 9113 section 6.1: DATA."""

import pytest

from tests.conformance.http2 import wire
from tests.conformance.http2.client import MESSAGE
from tests.conformance.http2.wire import Code, Flag, Kind

pytestmark = pytest.mark.wallclock


async def test_6_1_a_request_in_one_frame_is_answered(client) -> None:
    await client.send(wire.headers(1, client.block()), wire.data(1, MESSAGE, end=True))
    await client.accepts(1)


async def test_6_1_a_request_in_many_frames_is_answered(client) -> None:
    pieces = [wire.data(1, MESSAGE[n : n + 1]) for n in range(len(MESSAGE))]
    await client.send(wire.headers(1, client.block()), *pieces, wire.data(1, end=True))
    await client.accepts(1)


@pytest.mark.parametrize("padding", [0, 6, 255])
async def test_6_1_padding_is_taken_off(client, padding) -> None:
    payload = wire.padded(MESSAGE, padding)
    await client.send(
        wire.headers(1, client.block()),
        wire.frame(Kind.DATA, Flag.PADDED | Flag.END_STREAM, 1, payload),
    )
    await client.accepts(1)


async def test_6_1_data_belongs_to_a_stream(client) -> None:
    await client.send(wire.data(0, b"test", end=True))
    await client.connection_error(Code.PROTOCOL_ERROR)


async def test_6_1_data_on_a_stream_that_is_not_open_is_a_stream_error(held) -> None:
    await held.send(wire.headers(1, held.block(), end=True), wire.data(1, b"test", end=True))
    await held.stream_error(1, Code.STREAM_CLOSED)


@pytest.mark.parametrize("length", [5, 6, 255])
async def test_6_1_padding_that_leaves_no_room_for_itself_is_an_error(client, length) -> None:
    payload = bytes([length]) + b"test"
    await client.send(
        wire.headers(1, client.block()),
        wire.frame(Kind.DATA, Flag.PADDED | Flag.END_STREAM, 1, payload),
    )
    await client.connection_error(Code.PROTOCOL_ERROR)


async def test_6_1_padded_data_without_a_length_of_padding_is_an_error(client) -> None:
    await client.send(wire.headers(1, client.block()), wire.frame(Kind.DATA, Flag.PADDED, 1))
    await client.connection_error(Code.PROTOCOL_ERROR, Code.FRAME_SIZE_ERROR)
