"""RFC 9113 section 4: the format of frames, their size, and header blocks across them."""

import pytest

from tests.conformance.http2 import wire
from tests.conformance.http2.wire import Code, Flag, Kind, Setting

pytestmark = pytest.mark.wallclock


async def test_4_1_a_frame_of_unknown_type_is_ignored(client) -> None:
    await client.send(wire.frame(wire.UNKNOWN_TYPE, 0, 0, b"unknown"))
    await client.alive()


async def test_4_1_undefined_flags_are_ignored(client) -> None:
    await client.send(wire.frame(Kind.PING, 0xFE, 0, b"flagged!"))
    await client.wait_for(
        lambda frame: frame.kind == Kind.PING and frame.payload == b"flagged!",
        "the PING to come back",
    )


async def test_4_1_the_reserved_bit_before_the_stream_is_ignored(client) -> None:
    await client.send(wire.frame(Kind.PING, 0, 1 << 31, b"reserved"))
    await client.wait_for(
        lambda frame: frame.kind == Kind.PING and frame.payload == b"reserved",
        "the PING to come back",
    )


async def test_4_2_a_frame_of_the_size_everybody_must_take_is_taken(client) -> None:
    message = bytes(1) + (wire.DEFAULT_FRAME - 5).to_bytes(4)
    message += b"\x7a" + wire.integer(0, 7)  # an unknown field without content, many times
    message += b"\x7a\x00" * ((wire.DEFAULT_FRAME - len(message)) // 2) + b"\x7a"
    message = message[: wire.DEFAULT_FRAME]
    await client.send(wire.headers(1, client.block()), wire.data(1, message, end=True))
    assert (await client.answer(1)).status == "200"
    await client.alive()


async def test_4_2_larger_data_than_the_server_allows_is_a_frame_size_error(client) -> None:
    limit = client.settings.get(Setting.MAX_FRAME_SIZE, wire.DEFAULT_FRAME)
    await client.send(wire.headers(1, client.block()), wire.data(1, bytes(limit + 1), end=True))
    await client.stream_error(1, Code.FRAME_SIZE_ERROR)


async def test_4_2_larger_headers_than_the_server_allows_end_the_connection(client) -> None:
    limit = client.settings.get(Setting.MAX_FRAME_SIZE, wire.DEFAULT_FRAME)
    more = wire.literal("x-filler", "x" * (limit + 1 - len(client.block())))
    await client.send(wire.headers(1, client.block() + more, end=True))
    await client.connection_error(Code.FRAME_SIZE_ERROR)


async def test_4_2_larger_settings_than_the_server_allows_end_the_connection(client) -> None:
    limit = client.settings.get(Setting.MAX_FRAME_SIZE, wire.DEFAULT_FRAME)
    await client.send(wire.settings(*[(0xFF, 1)] * (limit // 6 + 1)))
    await client.connection_error(Code.FRAME_SIZE_ERROR)


async def test_4_3_a_block_that_does_not_decode_is_a_compression_error(client) -> None:
    await client.send(wire.headers(1, b"\x40", end=True))  # a literal without name and value
    await client.connection_error(Code.COMPRESSION_ERROR)


async def test_4_3_a_block_that_ends_within_a_string_is_a_compression_error(client) -> None:
    await client.send(wire.headers(1, client.block()[:-1], end=True))
    await client.connection_error(Code.COMPRESSION_ERROR)


@pytest.mark.parametrize(
    "between",
    [
        wire.priority(1),
        wire.headers(3, b"\x82", end=True),
        wire.ping(b"amid it."),
        wire.data(1, b"test"),
        wire.settings(),
    ],
    ids=["PRIORITY", "HEADERS of another stream", "PING", "DATA", "SETTINGS"],
)
async def test_4_3_nothing_may_stand_between_the_frames_of_a_block(client, between) -> None:
    block = client.block()
    await client.send(
        wire.headers(1, block[:10], whole=False),
        between,
        wire.continuation(1, block[10:], whole=True),
    )
    await client.connection_error(Code.PROTOCOL_ERROR)


async def test_4_3_compression_goes_on_across_refused_streams(client) -> None:
    """A block must be decoded though its request is refused: the next one may refer to it."""
    entry = wire.literal("x-kept", "yes", wire.Literal.INDEXED)
    await client.send(wire.headers(1, client.block(method=None) + entry, end=True))
    await client.wait_for(lambda frame: frame.kind == Kind.RST_STREAM, "a reset of stream 1")
    await client.send(
        wire.headers(3, client.block() + wire.indexed(62)), wire.data(3, bytes(5), end=True)
    )
    await client.accepts(3)


async def test_4_1_every_flag_on_data_but_those_defined_is_ignored(client) -> None:
    undefined = 0xFF & ~(Flag.END_STREAM | Flag.PADDED)
    await client.send(wire.headers(1, client.block()))
    await client.send(wire.frame(Kind.DATA, undefined, 1, bytes(5)), wire.data(1, end=True))
    await client.accepts(1)
