"""Bytes are inflated within a limit, and whatever is wrong with them has a name."""

import gzip
import tracemalloc
import zlib

import cramjam
import pytest
from hypothesis import given, settings, strategies as st

from common.wire import compression, errors

zstd = compression.zstd
ENCODINGS = ["gzip", "deflate", "zlib", "zstd", "snappy", "x-snappy-framed"]
MAGIC = b"\xff\x06\x00\x00sNaPpY"
TEXT = b"otlp over http, again and again; " * 9_000  # 297,000 bytes: several chunks of each format
NOISE = bytes(zlib.crc32(n.to_bytes(4, "big")) & 255 for n in range(200_000))


@pytest.mark.parametrize("encoding", [*ENCODINGS, "identity"])
@pytest.mark.parametrize("data", [b"", b"a", TEXT, NOISE], ids=["nothing", "byte", "text", "noise"])
def test_what_we_deflate_we_inflate(encoding: str, data: bytes) -> None:
    deflated = compression.deflate(data, encoding)
    assert compression.inflate(deflated, encoding, len(data)) == data


@settings(max_examples=60)
@given(st.binary(max_size=300), st.sampled_from(ENCODINGS))
def test_the_limit_is_exact(data: bytes, encoding: str) -> None:
    deflated = compression.deflate(data + b"!", encoding)
    assert compression.inflate(deflated, encoding, len(data) + 1) == data + b"!"
    with pytest.raises(errors.TooLarge, match=f"limit of {len(data)} bytes"):
        compression.inflate(deflated, encoding, len(data))


def test_identity_has_a_limit_too() -> None:
    assert compression.inflate(b"abc", "", 3) == b"abc"
    with pytest.raises(errors.TooLarge, match="3 bytes, more than the limit of 2"):
        compression.inflate(b"abc", "identity", 2)


def test_what_others_deflate_we_inflate() -> None:
    assert compression.inflate(gzip.compress(TEXT), "gzip", len(TEXT)) == TEXT
    assert compression.inflate(zlib.compress(TEXT), "deflate", len(TEXT)) == TEXT
    assert compression.inflate(zstd.compress(TEXT, 19), "zstd", len(TEXT)) == TEXT


def test_what_we_deflate_others_inflate() -> None:
    assert gzip.decompress(compression.deflate(TEXT, "gzip")) == TEXT
    assert zlib.decompress(compression.deflate(TEXT, "deflate")) == TEXT
    assert zstd.decompress(compression.deflate(TEXT, "zstd")) == TEXT
    assert bytes(cramjam.snappy.decompress_raw(compression.deflate(TEXT, "snappy"))) == TEXT
    assert compression.deflate(TEXT, "none") is TEXT


@pytest.mark.parametrize("name", ["GZIP", " gzip ", "Gzip"])
def test_names_are_read_in_any_case(name: str) -> None:
    assert compression.inflate(gzip.compress(b"abc"), name, 3) == b"abc"


@pytest.mark.parametrize("name", ["br", "gzip, gzip", "none of these", "\x00" * 1000])
def test_other_encodings_are_unknown_and_the_message_lists_ours(name: str) -> None:
    with pytest.raises(compression.UnknownEncoding, match="use one of deflate, gzip, identity"):
        compression.inflate(b"", name, 1)
    with pytest.raises(compression.UnknownEncoding):
        compression.deflate(b"", name)


def test_all_members_of_a_gzip_file_are_inflated() -> None:
    members = gzip.compress(b"one ") + gzip.compress(b"") + gzip.compress(TEXT)
    assert compression.inflate(members, "gzip", 1 << 20) == b"one " + TEXT
    with pytest.raises(errors.TooLarge):
        compression.inflate(members, "gzip", len(TEXT) + 3)


def test_all_frames_of_zstd_are_inflated_and_skippable_ones_skipped() -> None:
    skippable = b"\x50\x2a\x4d\x18\x02\x00\x00\x00ab"
    frames = zstd.compress(b"one ") + skippable + zstd.compress(NOISE) + zstd.compress(TEXT)
    assert compression.inflate(frames, "zstd", 1 << 20) == b"one " + NOISE + TEXT


def test_a_zstd_stream_that_declares_no_size_is_inflated_within_the_limit() -> None:
    encoder = zstd.ZstdCompressor()
    stream = encoder.compress(bytes(3_000_000)) + encoder.flush()
    assert compression.inflate(stream, "zstd", 3_000_000) == bytes(3_000_000)
    with pytest.raises(errors.TooLarge, match="more than the limit of 2999999"):
        compression.inflate(stream, "zstd", 2_999_999)


def test_a_zstd_window_beyond_eight_mebibytes_is_refused() -> None:
    encoder = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 25})
    stream = encoder.compress(b"abc") + encoder.flush()
    with pytest.raises(errors.Malformed, match="too much memory"):
        compression.inflate(stream, "zstd", 1 << 30)


def test_snappy_is_recognised_by_its_first_bytes() -> None:
    framed = bytes(cramjam.snappy.compress(TEXT))
    assert framed.startswith(MAGIC)
    assert compression.inflate(framed, "snappy", len(TEXT)) == TEXT


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_data_cut_short_anywhere_is_malformed(encoding: str) -> None:
    whole = compression.deflate(b"a" * 50 + NOISE[:100], encoding)
    for size in range(len(whole)):
        if encoding == "x-snappy-framed" and size == len(MAGIC):
            continue  # a stream of no chunks is whole
        with pytest.raises(errors.Malformed):
            compression.inflate(whole[:size], encoding, 1000)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("garbage", [b"x", b"\x00" * 8, b"garbage behind the end"])
def test_garbage_behind_the_data_is_malformed(encoding: str, garbage: bytes) -> None:
    whole = compression.deflate(b"a" * 50, encoding)
    with pytest.raises(errors.Malformed):
        compression.inflate(whole + garbage, encoding, 100_000)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "x-snappy-framed"])
def test_a_wrong_checksum_is_malformed(encoding: str) -> None:
    whole = bytearray(compression.deflate(b"a" * 50, encoding))
    whole[{"gzip": -5, "deflate": -1, "x-snappy-framed": 15}[encoding]] ^= 1
    with pytest.raises(errors.Malformed, match="corrupt"):
        compression.inflate(bytes(whole), encoding, 1000)


def test_deflate_means_zlib_wrapped_and_nothing_else() -> None:
    with pytest.raises(errors.Malformed):
        compression.inflate(zlib.compress(b"abc")[2:-4], "deflate", 100)
    with pytest.raises(errors.Malformed):
        compression.inflate(zlib.compress(b"abc") * 2, "deflate", 100)


def test_a_snappy_block_is_refused_by_what_it_claims() -> None:
    claim = b"\xff\xff\xff\xff\x0f"
    with pytest.raises(errors.TooLarge, match="4294967295"):
        compression.inflate(claim + b"ab", "snappy", 1 << 26)
    with pytest.raises(errors.Malformed, match="cannot be"):
        compression.inflate(b"\x80\x80\x40" + b"ab", "snappy", 1 << 26)


def test_snappy_compresses_no_better_than_the_bound_that_we_assume() -> None:
    block = compression.deflate(bytes(1 << 20), "snappy")
    assert compression.inflate(block, "snappy", 1 << 20) == bytes(1 << 20)


@pytest.mark.parametrize(
    "chunk",
    [b"\x02\x02\x00\x00ab", b"\x00\x02\x00\x00ab", b"\x01\x02\x00\x00ab",
     b"\x00\x09\x00\x00crcc\xff\xff\x07ab", b"\x01\xff\xff\xff"],
    ids=["reserved", "short", "shorter", "claims too much", "cut"],
)  # fmt: skip
def test_a_broken_snappy_chunk_is_malformed(chunk: bytes) -> None:
    with pytest.raises(errors.Malformed):
        compression.inflate(MAGIC + chunk, "x-snappy-framed", 1 << 20)


def test_padding_in_framed_snappy_is_skipped() -> None:
    framed = bytes(cramjam.snappy.compress(b"abc"))
    assert compression.inflate(framed + b"\xfe\x02\x00\x00ab", "x-snappy-framed", 3) == b"abc"


@pytest.mark.parametrize(
    ("encoding", "part"),
    [("gzip", gzip.compress(b"")), ("zstd", zstd.compress(b"")), ("snappy", b"\xfe\0\0\0")],
)
def test_parts_without_content_are_bounded_too(encoding: str, part: bytes) -> None:
    start = MAGIC if encoding == "snappy" else b""
    with pytest.raises((errors.TooLarge, errors.Malformed), match="more than"):
        compression.inflate(start + part * 100_000, encoding, 100)


def bomb(encoding: str) -> bytes:
    """About 256 MiB of zeros, or 1 GiB for gzip, in little."""
    if encoding == "gzip":
        encoder = zlib.compressobj(9, wbits=31)
        block = encoder.compress(bytes(1 << 20)) + encoder.flush(zlib.Z_FULL_FLUSH)
        more = encoder.compress(bytes(1 << 20)) + encoder.flush(zlib.Z_FULL_FLUSH)
        return block + more * 1023
    if encoding == "zstd":  # many frames, none of which declares its size
        encoder = zstd.ZstdCompressor()
        return (encoder.compress(bytes(1 << 22)) + encoder.flush()) * 64
    if encoding == "snappy":
        return compression.deflate(bytes(1 << 24), "snappy")
    return compression.deflate(bytes(1 << 22), "zlib")


@pytest.mark.parametrize("encoding", ["gzip", "zstd", "snappy", "deflate"])
def test_a_bomb_costs_no_more_than_the_limit_and_a_chunk(encoding: str) -> None:
    data = bomb(encoding)
    limit = 2 << 20
    tracemalloc.start()
    try:
        with pytest.raises(errors.TooLarge, match=f"limit of {limit}"):
            compression.inflate(data, encoding, limit)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < limit + (1 << 20) + (1 << 18)


@settings(max_examples=150)
@given(
    st.sampled_from(ENCODINGS),
    st.binary(max_size=60),
    st.lists(st.tuples(st.integers(0, 80), st.integers(0, 255)), max_size=3),
)
def test_hostile_bytes_end_in_a_result_or_a_named_error(
    encoding: str, data: bytes, flips: list[tuple[int, int]]
) -> None:
    whole = bytearray(compression.deflate(data * 3, encoding))
    for at, value in flips:
        whole[at % len(whole)] = value
    for candidate in (bytes(whole), data):
        try:
            assert len(compression.inflate(candidate, encoding, 500)) <= 500
        except (errors.Malformed, errors.TooLarge) as error:
            assert str(error)  # noqa: PT017 - either outcome is right
