"""RFC 9113 section 6.5: SETTINGS."""

import pytest

from tests.conformance.http2 import wire
from tests.conformance.http2.wire import Code, Flag, Kind, Setting

pytestmark = pytest.mark.wallclock


async def test_6_5_an_acknowledgement_has_no_payload(client) -> None:
    await client.send(wire.frame(Kind.SETTINGS, Flag.ACK, 0, b"\0"))
    await client.connection_error(Code.FRAME_SIZE_ERROR)


async def test_6_5_settings_belong_to_the_connection(client) -> None:
    await client.send(wire.frame(Kind.SETTINGS, 0, 1, wire.settings((3, 100))[9:]))
    await client.connection_error(Code.PROTOCOL_ERROR)


@pytest.mark.parametrize("length", [1, 3, 7])
async def test_6_5_settings_come_in_six_bytes_each(client, length) -> None:
    await client.send(wire.frame(Kind.SETTINGS, 0, 0, bytes(length)))
    await client.connection_error(Code.FRAME_SIZE_ERROR)


@pytest.mark.parametrize("value", [2, 2**32 - 1])
async def test_6_5_2_push_is_enabled_or_not(client, value) -> None:
    await client.send(wire.settings((Setting.ENABLE_PUSH, value)))
    await client.connection_error(Code.PROTOCOL_ERROR)


@pytest.mark.parametrize("value", [2**31, 2**32 - 1])
async def test_6_5_2_an_initial_window_has_a_limit(client, value) -> None:
    await client.send(wire.settings((Setting.INITIAL_WINDOW_SIZE, value)))
    await client.connection_error(Code.FLOW_CONTROL_ERROR)


@pytest.mark.parametrize("value", [0, 16_383], ids=["0", "one too small"])
async def test_6_5_2_the_largest_frame_is_not_smaller_than_its_default(client, value) -> None:
    await client.send(wire.settings((Setting.MAX_FRAME_SIZE, value)))
    await client.connection_error(Code.PROTOCOL_ERROR)


async def test_6_5_2_the_largest_frame_fits_in_three_bytes(client) -> None:
    await client.send(wire.settings((Setting.MAX_FRAME_SIZE, 2**24)))
    await client.connection_error(Code.PROTOCOL_ERROR)


async def test_6_5_2_unknown_settings_are_ignored(client) -> None:
    await client.send(wire.settings((0xFF, 1)))
    await client.acknowledged()
    await client.alive()


async def test_6_5_2_every_defined_setting_at_its_extremes_is_taken(client) -> None:
    await client.send(
        wire.settings(
            (Setting.HEADER_TABLE_SIZE, 0),
            (Setting.ENABLE_PUSH, 0),
            (Setting.MAX_CONCURRENT_STREAMS, 0),
            (Setting.INITIAL_WINDOW_SIZE, wire.MAX_WINDOW),
            (Setting.MAX_FRAME_SIZE, 2**24 - 1),
            (Setting.MAX_HEADER_LIST_SIZE, 2**32 - 1),
        ),
        client.call(1),
    )
    await client.acknowledged()
    await client.accepts(1)


@pytest.mark.parametrize("size", [0, 100])
async def test_4_3_1_answers_keep_to_a_smaller_header_table_and_say_so(client, size) -> None:
    await client.send(wire.settings((Setting.HEADER_TABLE_SIZE, size)))
    await client.acknowledged()
    client.limit_table(size)
    for stream in (1, 3, 5):
        await client.send(client.call(stream))
        await client.accepts(stream)


async def test_6_5_3_values_apply_in_their_order(client) -> None:
    sizes = ((Setting.INITIAL_WINDOW_SIZE, 100), (Setting.INITIAL_WINDOW_SIZE, 1))
    await client.send(wire.settings(*sizes))
    await client.acknowledged()
    await client.send(client.call(1))
    assert len((await client.data(1)).payload) == 1


async def test_6_5_3_settings_are_acknowledged_at_once(client) -> None:
    await client.send(wire.settings((Setting.ENABLE_PUSH, 0)))
    await client.acknowledged()


async def test_6_5_3_every_frame_of_settings_is_acknowledged(client) -> None:
    await client.send(wire.settings(), wire.settings((0xFF, 1)), wire.settings())
    for _ in range(3):
        await client.acknowledged()
