"""RFC 9113 section 3.4: the connection preface."""

import pytest

from tests.conformance.http2 import wire
from tests.conformance.http2.wire import Code, Flag, Kind, Setting

pytestmark = pytest.mark.wallclock


async def test_3_4_the_first_frame_of_the_server_is_settings(stranger) -> None:
    await stranger.send(wire.PREFACE, wire.settings((Setting.INITIAL_WINDOW_SIZE, 65_535)))
    first = await stranger.wait_for(lambda _: True, "a frame")
    assert first.kind == Kind.SETTINGS
    assert not first.has(Flag.ACK)


async def test_3_4_both_prefaces_are_acknowledged_and_a_call_is_answered(client) -> None:
    await client.send(client.call(1))
    await client.accepts(1)


async def test_3_4_a_client_need_not_wait_for_the_preface_of_the_server(stranger) -> None:
    await stranger.send(wire.PREFACE, wire.settings(), stranger.call(1))
    await stranger.accepts(1)


@pytest.mark.parametrize(
    "said",
    [
        b"INVALID CONNECTION PREFACE\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\rX" + bytes(64),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(512),
    ],
    ids=["words", "HTTP/1.1", "one byte off", "a TLS hello"],
)
async def test_3_4_another_preface_ends_the_connection(stranger, said) -> None:
    await stranger.send(said)
    await stranger.ended()


async def test_3_4_another_first_frame_than_settings_is_an_error(stranger) -> None:
    await stranger.send(wire.PREFACE, wire.ping(b"too soon"))
    await stranger.connection_error(Code.PROTOCOL_ERROR)
