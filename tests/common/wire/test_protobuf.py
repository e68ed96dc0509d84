"""Framing agrees with upb, byte for byte."""

import pytest
from google.protobuf import descriptor_pb2, message, unknown_fields, wrappers_pb2
from hypothesis import example, given, settings, strategies as st

from common.wire import errors, protobuf
from tests.fakes import otlp_wire

NUMBERS = st.one_of(st.integers(0, 2**64 - 1), st.integers(0, 20_000))


@given(NUMBERS)
@example(127)
@example(128)
@example(16_383)
@example(16_384)
@example(2**64 - 1)
def test_varints_are_those_of_upb(n: int) -> None:
    encoded = wrappers_pb2.UInt64Value(value=n).SerializeToString()
    assert protobuf.varint(n) == encoded[1:] or n == 0
    assert protobuf.read_varint(b"??" + protobuf.varint(n) + b"?", 2) == (
        n,
        2 + len(protobuf.varint(n)),
    )


@given(st.integers(-(2**63), -1))
def test_negative_numbers_take_ten_bytes_as_int64_does(n: int) -> None:
    assert protobuf.varint(n) == wrappers_pb2.Int64Value(value=n).SerializeToString()[1:]


@pytest.mark.parametrize("n", [2**64, -(2**63) * 3])
def test_a_number_of_more_than_64_bits_is_our_bug(n: int) -> None:
    with pytest.raises(RuntimeError, match="BUG"):
        protobuf.varint(n)


@given(st.integers(-(2**63), 2**63 - 1))
def test_zigzag_is_its_definition(n: int) -> None:
    assert protobuf.zigzag(n) == (2 * n if n >= 0 else -2 * n - 1)


def test_a_varint_may_be_longer_than_necessary_but_not_than_ten_bytes() -> None:
    assert protobuf.read_varint(b"\x85\x80\x80\x00", 0) == (5, 4)
    assert protobuf.read_varint(b"\xff" * 9 + b"\x7f", 0) == (2**64 - 1, 10)
    with pytest.raises(errors.Malformed, match="more than 10 bytes"):
        protobuf.read_varint(b"\xff" * 10 + b"\x01", 0)


@pytest.mark.parametrize("data", [b"", b"\x80", b"\xff\xff"])
def test_a_varint_cut_short_is_malformed(data: bytes) -> None:
    with pytest.raises(errors.Malformed, match="cut short"):
        protobuf.read_varint(data, 0)


def test_framed_is_tag_length_and_payload() -> None:
    assert protobuf.framed(1, b"abc") == b"\x0a\x03abc"
    assert protobuf.framed(2**29 - 1, b"") == b"\xfa\xff\xff\xff\x0f\x00"
    assert protobuf.tag(3, protobuf.FIXED32) == b"\x1d"


def test_fields_say_where_things_are() -> None:
    data = b"\x08\x96\x01" + b"\x12\x02hi" + b"\x1b\x20\x01\x1c" + b"\x25four" + b"\x29eightyes"
    assert protobuf.fields(data) == [
        (1, 0, 0, 1, 3),
        (2, 2, 3, 5, 7),
        (3, 3, 7, 8, 11),
        (4, 5, 11, 12, 16),
        (5, 1, 16, 17, 25),
    ]


def test_fields_of_a_part_keep_the_offsets_of_the_whole() -> None:
    data = b"??" + protobuf.framed(1, b"abc") + b"\x80"
    assert protobuf.fields(data, 2, 7) == [(1, 2, 2, 4, 7)]
    with pytest.raises(errors.Malformed):
        protobuf.fields(data, 2, 6)


def test_fields_too_small_and_too_many_are_malformed() -> None:
    assert len(protobuf.fields(b"\x08\x00" * 5_000)) == 5_000
    with pytest.raises(errors.Malformed, match="more than 6596 fields in a message of 20000"):
        protobuf.fields(b"\x08\x00" * 10_000)


def upb_fields(data: bytes) -> list[tuple[int, int]] | None:
    """What upb sees in *data* read as a message without fields; None if it refuses."""
    try:
        empty = descriptor_pb2.DescriptorProto.ReservedRange.FromString(b"")
        empty = type(empty).FromString(data)
    except message.DecodeError:
        return None
    return [(f.field_number, f.wire_type) for f in unknown_fields.UnknownFieldSet(empty)]


def shifted(data: bytes) -> list[tuple[int, int]] | None:
    """What we see, without the two numbers that ReservedRange knows."""
    try:
        found = protobuf.fields(data)
    except errors.Malformed:
        return None
    return [(n, w) for n, w, *_ in found if (n, w) not in {(1, 0), (2, 0)}]


@settings(max_examples=150)
@given(otlp_wire.hostile)
@example(b"\x8a\x80\x80\x80\x00\x00")
@example(b"\x8a\x80\x80\x80\x80\x00\x00")
@example(b"\xfa\xff\xff\xff\x1f\x00")
@example(b"\x0a\x80\x80\x80\x80\x00")
@example(b"\x0a\x80\x80\x80\x80\x80\x00")
@example(b"\x0a\xff\xff\xff\xff\x07")
@example(b"\x02\x00")
@example(b"\x0c")
@example(b"\x0e")
@example(b"\x0b\x14")
@example(b"\x0b\x0a\x80\x80\x80\x80\x80\x00\x0c")
@example(b"\x1b\x0e\x1c")
@example(b"\x1b\x0d12")
@example(b"\x1b\x09" + b"8" * 8 + b"\x1c")
@example(b"\x7b" * 100 + b"\x7c" * 100)
@example(b"\x7b" * 101 + b"\x7c" * 101)
@example(b"\x7b\x00\x7c")
def test_fields_agree_with_upb_on_anything(data: bytes) -> None:
    assert shifted(data) == upb_fields(data)


@settings(max_examples=50)
@given(otlp_wire.requests)
def test_fields_cover_every_byte(data: bytes) -> None:
    at = 0
    for _, _, tag_at, value_at, end in protobuf.fields(data):
        assert tag_at == at < value_at <= end
        at = end
    assert at == len(data)
