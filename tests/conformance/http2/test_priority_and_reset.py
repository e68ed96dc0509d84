"""RFC 9113 sections 6.3, 6.4 and 7: PRIORITY, RST_STREAM, error codes."""

import pytest

from tests.conformance.http2 import wire
from tests.conformance.http2.wire import Code, Kind

pytestmark = pytest.mark.wallclock


@pytest.mark.parametrize(
    "payload",
    [
        wire.dependency(weight=1),
        wire.dependency(weight=256),
        wire.dependency(on=5),
        wire.dependency(on=5, exclusive=True),
    ],
    ids=["weight 1", "weight 256", "on a stream", "exclusive"],
)
async def test_6_3_priorities_of_all_kinds_are_taken(client, payload) -> None:
    await client.send(wire.priority(1, payload), client.call(1))
    await client.accepts(1)


async def test_6_3_a_priority_does_not_open_its_stream(client) -> None:
    """Lower numbers may still be used after a PRIORITY for a higher one."""
    await client.send(wire.priority(9), client.call(1))
    await client.accepts(1)


async def test_6_3_a_priority_belongs_to_a_stream(client) -> None:
    await client.send(wire.priority(0))
    await client.connection_error(Code.PROTOCOL_ERROR)


@pytest.mark.parametrize("length", [0, 4, 6])
async def test_6_3_a_priority_of_another_length_is_a_frame_size_error(held, length) -> None:
    await held.send(held.call(1), wire.priority(1, bytes(length)))
    await held.stream_error(1, Code.FRAME_SIZE_ERROR)


async def test_6_4_a_reset_ends_its_stream_and_nothing_else(client) -> None:
    await client.send(wire.headers(1, client.block()), client.call(3), wire.reset(1))
    await client.accepts(3)
    await client.alive()


async def test_6_4_a_reset_belongs_to_a_stream(client) -> None:
    await client.send(wire.reset(0))
    await client.connection_error(Code.PROTOCOL_ERROR)


async def test_6_4_an_idle_stream_cannot_be_reset(client) -> None:
    await client.send(wire.reset(1))
    await client.connection_error(Code.PROTOCOL_ERROR)


@pytest.mark.parametrize("length", [0, 3, 5])
async def test_6_4_a_reset_of_another_length_is_a_frame_size_error(held, length) -> None:
    await held.send(held.call(1), wire.frame(Kind.RST_STREAM, 0, 1, bytes(length)))
    await held.connection_error(Code.FRAME_SIZE_ERROR)


async def test_7_a_reset_with_an_unknown_code_is_taken(client) -> None:
    await client.send(wire.headers(1, client.block()), wire.reset(1, 0xFF))
    await client.alive()
