"""Frames are what RFC 9113 draws."""

from common.wire.http2 import frames
from tests.fakes.http2_wire import Frame, taken_apart


def test_a_frame_has_a_header_of_nine_bytes() -> None:
    assert frames.frame(6, 1, 0, b"12345678") == b"\0\0\x08\x06\x01\0\0\0\0" + b"12345678"
    assert frames.header(0x012345, 0, 1, 7) == b"\x01\x23\x45\x00\x01\0\0\0\x07"


def test_the_small_ones() -> None:
    assert taken_apart(frames.reset(3, 8)) == [Frame(3, 0, 3, b"\0\0\0\x08")]
    assert taken_apart(frames.window_update(0, 65535)) == [Frame(8, 0, 0, b"\0\0\xff\xff")]
    assert taken_apart(frames.goaway(5, 2, b"why")) == [Frame(7, 0, 0, b"\0\0\0\5\0\0\0\2why")]
    assert taken_apart(frames.settings([(4, 10)])) == [Frame(4, 0, 0, b"\0\4\0\0\0\x0a")]


def test_a_long_header_block_goes_on_in_continuations() -> None:
    written = taken_apart(frames.header_block(1, b"abcdefgh", 3, ended=True))
    assert written == [Frame(1, 1, 1, b"abc"), Frame(9, 0, 1, b"def"), Frame(9, 4, 1, b"gh")]
    assert taken_apart(frames.header_block(1, b"abc", 3, ended=True)) == [Frame(1, 5, 1, b"abc")]
