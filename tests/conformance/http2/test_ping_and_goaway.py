"""RFC 9113 sections 6.7, 6.8 and 7: PING and GOAWAY."""

import pytest

from tests.conformance.http2 import wire
from tests.conformance.http2.wire import Code, Flag, Kind

pytestmark = pytest.mark.wallclock


async def test_6_7_a_ping_comes_back_as_it_was(client) -> None:
    await client.send(wire.ping(b"\0h2\xff\xfeok\x80"))
    back = await client.wait_for(lambda frame: frame.kind == Kind.PING, "a PING")
    assert back.has(Flag.ACK)
    assert back.payload == b"\0h2\xff\xfeok\x80"


async def test_6_7_an_answer_to_a_ping_is_not_answered(client) -> None:
    await client.send(wire.ping(b"answered", ack=True), wire.ping(b"question"))
    back = await client.wait_for(lambda frame: frame.kind == Kind.PING, "a PING")
    assert back.payload == b"question"


async def test_6_7_a_ping_belongs_to_the_connection(client) -> None:
    await client.send(wire.frame(Kind.PING, 0, 1, b"misplace"))
    await client.connection_error(Code.PROTOCOL_ERROR)


@pytest.mark.parametrize("length", [0, 6, 9])
async def test_6_7_a_ping_has_eight_bytes(client, length) -> None:
    await client.send(wire.frame(Kind.PING, 0, 0, bytes(length)))
    await client.connection_error(Code.FRAME_SIZE_ERROR)


async def test_6_8_after_goaway_what_is_under_way_is_answered(held) -> None:
    await held.send(held.call(1), wire.goaway(), wire.window(1, 100))
    await held.accepts(1)


@pytest.mark.parametrize("code", [Code.NO_ERROR, 0xFF], ids=["no error", "7: an unknown code"])
async def test_6_8_goaway_is_taken(client, code) -> None:
    await client.send(wire.goaway(code=code))
    await client.alive_or_ended()


async def test_6_8_goaway_belongs_to_the_connection(client) -> None:
    await client.send(wire.goaway(stream=1))
    await client.connection_error(Code.PROTOCOL_ERROR)


async def test_6_8_goaway_has_at_least_eight_bytes(client) -> None:
    await client.send(wire.frame(Kind.GOAWAY, 0, 0, bytes(7)))
    await client.connection_error(Code.FRAME_SIZE_ERROR)
