"""What we set, and which settings of a peer are errors."""

import pytest

from common.wire.http2 import Code, Limits, frames, settings
from common.wire.http2.codes import Broken
from tests.fakes.http2_wire import taken_apart


def test_ours_say_the_limits_and_open_the_window() -> None:
    limits = Limits(max_concurrent_streams=7, stream_window_bytes=70_000, max_header_bytes=9000)
    first, second = taken_apart(settings.ours(limits, server=True))
    assert dict(frames.SETTING.iter_unpack(first.payload)) == {
        1: 4096, 3: 7, 4: 70_000, 5: 16384, 6: 9000
    }  # fmt: skip
    assert second.payload == ((1 << 20) - 65_535).to_bytes(4)
    (only,) = taken_apart(settings.ours(Limits(connection_window_bytes=65_535), server=False))
    assert dict(frames.SETTING.iter_unpack(only.payload))[2] == 0


def packed(identifier: int, value: int) -> bytes:
    return frames.SETTING.pack(identifier, value)


@pytest.mark.parametrize(
    ("payload", "server", "code"),
    [
        (packed(2, 2), True, Code.PROTOCOL_ERROR),
        (packed(2, 1), False, Code.PROTOCOL_ERROR),
        (packed(4, 1 << 31), True, Code.FLOW_CONTROL_ERROR),
        (packed(5, 16383), True, Code.PROTOCOL_ERROR),
        (packed(5, 1 << 24), True, Code.PROTOCOL_ERROR),
        (packed(1, 1)[:5], True, Code.FRAME_SIZE_ERROR),
    ],
)
def test_forbidden_values(payload: bytes, server: bool, code: Code) -> None:  # noqa: FBT001
    with pytest.raises(Broken) as caught:
        list(settings.theirs(payload, server=server))
    assert caught.value.code == code


def test_the_others_come_in_order_and_unknown_ones_do_not() -> None:
    payload = packed(4, 1) + packed(9, 1) + packed(2, 1) + packed(4, 2) + packed(0, 3)
    assert list(settings.theirs(payload, server=True)) == [(4, 1), (2, 1), (4, 2)]
