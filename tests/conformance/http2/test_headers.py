"""RFC 9113 sections 6.2 and 6.10: HEADERS and CONTINUATION."""

import pytest

from tests.conformance.http2 import wire
from tests.conformance.http2.client import MESSAGE
from tests.conformance.http2.wire import Code, Flag

pytestmark = pytest.mark.wallclock


async def test_6_2_headers_open_a_stream(client) -> None:
    await client.send(client.call(1))
    await client.accepts(1)


@pytest.mark.parametrize("padding", [0, 6, 255])
async def test_6_2_padding_is_taken_off(client, padding) -> None:
    payload = wire.padded(client.block(), padding)
    await client.send(wire.headers(1, payload, flags=Flag.PADDED), wire.data(1, MESSAGE, end=True))
    await client.accepts(1)


@pytest.mark.parametrize("exclusive", [False, True])
async def test_6_2_a_priority_is_taken_off(client, exclusive) -> None:
    payload = wire.dependency(weight=255, exclusive=exclusive) + client.block()
    await client.send(
        wire.headers(1, payload, flags=Flag.PRIORITY), wire.data(1, MESSAGE, end=True)
    )
    await client.accepts(1)


async def test_6_2_padding_and_priority_are_both_taken_off(client) -> None:
    payload = wire.padded(wire.dependency() + client.block(), 3)
    flags = Flag.PRIORITY | Flag.PADDED
    await client.send(wire.headers(1, payload, flags=flags), wire.data(1, MESSAGE, end=True))
    await client.accepts(1)


async def test_6_2_priority_may_not_follow_headers_that_go_on(client) -> None:
    await client.send(wire.headers(1, client.block(), whole=False), wire.priority(1))
    await client.connection_error(Code.PROTOCOL_ERROR)


async def test_6_2_headers_of_another_stream_may_not_follow_headers_that_go_on(client) -> None:
    block = client.block()
    await client.send(wire.headers(1, block, whole=False), wire.headers(3, block, end=True))
    await client.connection_error(Code.PROTOCOL_ERROR)


async def test_6_2_headers_belong_to_a_stream(client) -> None:
    await client.send(wire.headers(0, client.block(), end=True))
    await client.connection_error(Code.PROTOCOL_ERROR)


async def test_6_2_padding_that_leaves_no_room_for_itself_is_an_error(client) -> None:
    block = client.block()[:40]
    payload = bytes([len(block) + 1]) + block
    await client.send(wire.headers(1, payload, end=True, flags=Flag.PADDED))
    await client.connection_error(Code.PROTOCOL_ERROR)


async def test_6_2_padding_that_leaves_no_room_for_a_priority_is_an_error(client) -> None:
    payload = wire.padded(b"\0\0\0\0", 1)
    await client.send(wire.headers(1, payload, end=True, flags=Flag.PADDED | Flag.PRIORITY))
    await client.connection_error(Code.PROTOCOL_ERROR, Code.FRAME_SIZE_ERROR)


async def test_6_10_a_continuation_completes_a_block(client) -> None:
    block = client.block()
    await client.send(
        wire.headers(1, block[:20], whole=False),
        wire.continuation(1, block[20:], whole=True),
        wire.data(1, MESSAGE, end=True),
    )
    await client.accepts(1)


async def test_6_10_many_continuations_complete_a_block(client) -> None:
    """They are cut within fields, which the format allows."""
    block = client.block()
    await client.send(
        wire.headers(1, block[:13], whole=False),
        wire.continuation(1, block[13:27], whole=False),
        wire.continuation(1, block[27:28], whole=False),
        wire.continuation(1, block[28:], whole=True),
        wire.data(1, MESSAGE, end=True),
    )
    await client.accepts(1)


async def test_6_10_a_stream_that_ends_with_its_headers_ends_after_their_continuation(
    held,
) -> None:
    block = held.block()
    await held.send(
        wire.headers(1, block[:20], end=True, whole=False),
        wire.continuation(1, block[20:], whole=True),
        wire.data(1, MESSAGE),
    )
    await held.stream_error(1, Code.STREAM_CLOSED)


async def test_6_10_only_a_continuation_may_follow_one_that_goes_on(client) -> None:
    block = client.block()
    await client.send(
        wire.headers(1, block[:20], whole=False),
        wire.continuation(1, block[20:], whole=False),
        wire.data(1, b"test", end=True),
    )
    await client.connection_error(Code.PROTOCOL_ERROR)


async def test_6_10_a_continuation_belongs_to_a_stream(client) -> None:
    block = client.block()
    await client.send(
        wire.headers(1, block[:20], whole=False), wire.continuation(0, block[20:], whole=True)
    )
    await client.connection_error(Code.PROTOCOL_ERROR)


async def test_6_10_a_continuation_belongs_to_the_stream_of_its_headers(client) -> None:
    block = client.block()
    await client.send(
        wire.headers(1, block[:20], whole=False), wire.continuation(3, block[20:], whole=True)
    )
    await client.connection_error(Code.PROTOCOL_ERROR)


async def test_6_10_no_continuation_follows_headers_that_are_whole(client) -> None:
    more = wire.block([("x-late", "yes")])
    await client.send(wire.headers(1, client.block()), wire.continuation(1, more, whole=True))
    await client.connection_error(Code.PROTOCOL_ERROR)


async def test_6_10_no_continuation_follows_a_continuation_that_was_the_last(client) -> None:
    block, more = client.block(), wire.block([("x-late", "yes")])
    await client.send(
        wire.headers(1, block[:20], whole=False),
        wire.continuation(1, block[20:], whole=True),
        wire.continuation(1, more, whole=True),
    )
    await client.connection_error(Code.PROTOCOL_ERROR)


async def test_6_10_no_continuation_follows_data(client) -> None:
    more = wire.block([("x-late", "yes")])
    await client.send(
        wire.headers(1, client.block()),
        wire.data(1, b"\0"),
        wire.continuation(1, more, whole=True),
    )
    await client.connection_error(Code.PROTOCOL_ERROR)
