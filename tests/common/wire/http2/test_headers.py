"""Header blocks: the memory never changes what a block means; errors are errors of compression."""

import hpack
import pytest
from hypothesis import given, strategies as st

from common.wire.http2 import Code, encode, heads
from common.wire.http2.codes import Broken
from common.wire.http2.headers import Decoder

FIELDS = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/a"), (b"x", b"y" * 200)]


def decoder(limit: int = 16384) -> Decoder:
    return Decoder(limit)


def test_a_repeated_block_is_a_lookup() -> None:
    encoder, ours = hpack.Encoder(), decoder()
    blocks = [encoder.encode(FIELDS) for _ in range(4)]
    found = [ours.decode(block, heads.request) for block in blocks]
    assert [head.fields for head in found] == [tuple(FIELDS)] * 4
    assert found[1] is found[2] is found[3]
    assert (ours.hits, ours.misses) == (2, 2)


def test_the_same_block_as_trailers_is_another_thing() -> None:
    ours, block = decoder(), encode([(b":status", b"200")])
    assert ours.decode(block, heads.response).problem == ""
    assert ours.decode(block, heads.trailers).problem


def test_what_changes_the_table_makes_blocks_mean_something_else() -> None:
    ours = decoder()
    add = b"\x40\x01a\x01"
    ours.decode(add + b"1", heads.trailers)
    assert ours.decode(b"\xbe", heads.trailers).fields == ((b"a", b"1"),)
    ours.decode(add + b"2", heads.trailers)
    assert ours.decode(b"\xbe", heads.trailers).fields == ((b"a", b"2"),)
    ours.decode(b"\x20", heads.trailers)
    with pytest.raises(Broken):
        ours.decode(b"\xbe", heads.trailers)


def test_an_entry_that_comes_and_goes_within_one_block_is_a_change() -> None:
    ours = decoder()
    ours.decode(b"\x3f\x05", heads.trailers)  # a table of 36 bytes: one small entry
    for value in b"1234":
        ours.decode(b"\x40\x01a\x01" + bytes([value]), heads.trailers)
        assert ours.decode(b"\xbe", heads.trailers).get(b"a") == bytes([value])
        twice = b"\x40\x01b\x010\x40\x01a\x01" + bytes([value])
        ours.decode(twice, heads.trailers)
        ours.decode(twice, heads.trailers)
        assert ours.misses == 2 + 4 * (value - 48) - 1


BAD = {
    "index 0": b"\x80",
    "index beyond the table": b"\xbe",
    "name index beyond the table": b"\x7e\x01a",
    "table size beyond the setting": b"\x3f\xe2\x1f",
    "table size behind a field": b"\x82\x20",
    "padding of Huffman longer than 7 bits": b"\x00\x85\xf2\xb2\x4a\x84\xff\x84\x49\x50\x9f\xff",
    "padding of Huffman with zeros": b"\x00\x85\xf2\xb2\x4a\x84\xff\x83\x49\x50\x90",
    "EOS in Huffman": b"\x00\x85\xf2\xb2\x4a\x84\xff\x87\x49\x51\xff\xff\xff\xfa\x7f",
    "cut short in an integer": b"\xff",
    "endless integer": b"\xff" * 50,
    "cut short in a name": b"\x00\x05ab",
    "cut short in a value": b"\x00\x01a\x05b",
    "cut short behind a name": b"\x00\x01a",
}


@pytest.mark.parametrize("block", BAD.values(), ids=BAD)
def test_undecodable_blocks(block: bytes) -> None:
    with pytest.raises(Broken) as caught:
        decoder().decode(block, heads.request)
    assert (caught.value.code, caught.value.cause) == (Code.COMPRESSION_ERROR, "compression")


def test_a_bomb_of_references_stops_while_it_is_decoded() -> None:
    ours = decoder(1000)
    ours.decode(b"\x40\x01a\x7f\xe9\x06" + b"x" * 1000, heads.trailers)
    with pytest.raises(Broken) as caught:
        ours.decode(b"\xbe" * 100, heads.trailers)
    assert (caught.value.code, caught.value.cause) == (Code.ENHANCE_YOUR_CALM, "header_list")


def test_a_smaller_table_has_to_be_acknowledged_by_a_block() -> None:
    ours = decoder()
    ours.decode(b"\x82", heads.trailers)
    ours.allow_table(100)
    with pytest.raises(Broken):
        ours.decode(b"\x82", heads.trailers)


def test_the_memory_is_bounded() -> None:
    ours = decoder()
    for i in range(500):
        ours.decode(encode([(b"a", b"%d" % i)]), heads.trailers)
    assert len(ours._memo) <= 32


names = st.text("abcdefghij-:", min_size=1, max_size=40).map(str.encode)
pairs = st.lists(
    st.tuples(names | st.sampled_from([b":method", b":path"]), st.binary(max_size=200))
)


@given(pairs)
def test_what_we_encode_any_decoder_reads_without_a_table(fields: list) -> None:
    theirs = hpack.Decoder()
    theirs.max_allowed_table_size = 0
    theirs.header_table_size = 0
    assert list(theirs.decode(encode(fields), raw=True)) == fields


def test_credentials_are_never_to_be_indexed() -> None:
    (field,) = hpack.Decoder().decode(encode([(b"authorization", b"Bearer x")]), raw=True)
    assert not field.indexable


@given(st.lists(st.tuples(pairs, st.integers(0, 4096) | st.none()), max_size=12))
def test_with_memory_and_without_a_block_means_the_same(script: list) -> None:
    encoder, ours, plain = hpack.Encoder(), decoder(1 << 20), hpack.Decoder(1 << 22)
    for fields, size in script:
        if size is not None:
            encoder.header_table_size = size
        for _ in range(3):
            block = encoder.encode(fields)
            expected = tuple(plain.decode(block, raw=True))
            assert ours.decode(block, heads.trailers).fields == expected
