"""Our decoder says what hpack's says, about good blocks and bad ones, and stops in time."""

import hpack
import pytest
from hpack.table import HeaderTable
from hypothesis import example, given, strategies as st

from common.wire.http2 import fields

MAX = 1 << 20


def ours(block: bytes, table: HeaderTable, most: int = MAX) -> list | None:
    try:
        return fields.decode(block, table, 4096, most)
    except fields.Undecodable:
        return None


def theirs(block: bytes, decoder: hpack.Decoder) -> list | None:
    try:
        return list(decoder.decode(block, raw=True))
    except hpack.HPACKDecodingError:
        return None


names = st.sampled_from([b":path", b"x", b"grpc-timeout", b"authorization", b"cookie"])
headers = st.lists(
    st.tuples(names | st.binary(max_size=9), st.binary(max_size=99) | st.just(b"y" * 600)),
    max_size=6,
)


@given(st.lists(st.tuples(headers, st.integers(0, 4096) | st.none(), st.booleans()), max_size=6))
def test_blocks_of_any_encoder(script: list) -> None:
    encoder, table, plain = hpack.Encoder(), HeaderTable(), hpack.Decoder(MAX)
    for block_headers, size, huffman in script:
        if size is not None:
            encoder.header_table_size = size
        block = encoder.encode(block_headers, huffman=huffman)
        assert ours(block, table) == theirs(block, plain) == block_headers
        assert list(table.dynamic_entries) == list(plain.header_table.dynamic_entries)
        assert table.maxsize == plain.header_table.maxsize


pieces = st.sampled_from(
    [b"\x82", b"\xbe", b"\x80", b"\x20", b"\x3f\xe1\x1f", b"\x3f\xe2\x1f", b"\x40\x01a\x01b",
     b"\x00\x01a\x01b", b"\x10\x01a\x01b", b"\x44\x01/", b"\x0f\x2f\x01c", b"\xff\x80\x01",
     b"\x40\x81\x1f\x82\x1c\x64", b"\x7f", b"\xff\xff\xff\xff\xff\x7f", b"\x00\x7f\x80\x80\x00"]
)  # fmt: skip


@given(st.lists(pieces | st.binary(max_size=4), max_size=12).map(b"".join))
@example(b"\x1f")
@example(b"\x00")
@example(b"\x00\x01")
def test_blocks_of_nobody(block: bytes) -> None:
    table, plain = HeaderTable(), hpack.Decoder(MAX)
    expected = theirs(block, plain)
    assert ours(block, table) == expected
    if expected is not None:
        assert list(table.dynamic_entries) == list(plain.header_table.dynamic_entries)


def test_it_stops_as_soon_as_the_list_is_too_long() -> None:
    table = HeaderTable()
    table.add(b"a", b"x" * 4000)
    with pytest.raises(fields.TooLong):
        fields.decode(b"\xbe" * 1000, table, 4096, 16_384)
    assert fields.decode(b"\xbe" * 4, table, 4096, 4 * 4033) == [(b"a", b"x" * 4000)] * 4


def test_a_table_that_had_to_shrink() -> None:
    table = HeaderTable()
    with pytest.raises(fields.Undecodable, match="made smaller"):
        fields.decode(b"\x82", table, 100, MAX)
    assert fields.decode(b"\x3f\x45\x82", table, 100, MAX) == [(b":method", b"GET")]
