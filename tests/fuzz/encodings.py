"""Compressed requests with one thing wrong: a length, a checksum, a flag, a member, a bomb."""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Callable
from random import Random

from common.wire import compression
from tests.fakes import otlp_wire
from tests.fuzz import bodies, templates, wire
from tests.fuzz.templates import LIMIT, Judged, Pool

GZIP, DEFLATE, ZSTD, SNAPPY, FRAMED = b"gzip", b"deflate", b"zstd", b"snappy", b"x-snappy-framed"
ALL = (GZIP, DEFLATE, ZSTD, SNAPPY, FRAMED)
SNAPPY_MAGIC = b"\xff\x06\x00\x00sNaPpY"

Made = tuple[bytes, bytes, Judged | None]
"""Encoding, body, and what is owed; ``None``: whatever the decoder says, as long as it says it."""

MUTATIONS: dict[str, Callable[[Random, Pool], Made]] = {}


def mutation(make: Callable[[Random, Pool], Made]) -> Callable[[Random, Pool], Made]:
    MUTATIONS[make.__name__.replace("_", "-")] = make
    return make


def _encoded(random: Random, pool: Pool) -> tuple[bytes, bytes, bytes]:
    encoding = random.choice(ALL)
    body = random.choice(pool.templates).body
    return encoding, body, compression.deflate(body, encoding.decode())


@mutation
def right(random: Random, pool: Pool) -> Made:
    encoding, body, data = _encoded(random, pool)
    return random.choice((encoding, encoding.upper())), data, templates.judge(body)


@mutation
def right_with_wrong_body(random: Random, pool: Pool) -> Made:
    encoding = random.choice(ALL)
    _, body = bodies.draw(random, pool)
    return encoding, compression.deflate(body, encoding.decode()), templates.judge(body)


@mutation
def cut_short(random: Random, pool: Pool) -> Made:
    encoding, _, data = _encoded(random, pool)
    return encoding, data[: random.randrange(1, len(data))], None


@mutation
def damaged(random: Random, pool: Pool) -> Made:
    encoding, _, data = _encoded(random, pool)
    return encoding, otlp_wire.damaged(data, random), None


@mutation
def other_encoding(random: Random, pool: Pool) -> Made:
    encoding, _, data = _encoded(random, pool)
    return random.choice([e for e in ALL if e != encoding]), data, None


@mutation
def not_compressed(random: Random, pool: Pool) -> Made:
    return random.choice(ALL), random.choice(pool.templates).body, None


@mutation
def nothing(random: Random, pool: Pool) -> Made:  # noqa: ARG001 - all mutations are called alike
    return random.choice(ALL), b"", None


@mutation
def followed_by_bytes(random: Random, pool: Pool) -> Made:
    encoding, _, data = _encoded(random, pool)
    return encoding, data + random.choice((b"\0", b"junk", random.randbytes(40))), None


@mutation
def gzip_checksum(random: Random, pool: Pool) -> Made:
    data = bytearray(gzip.compress(random.choice(pool.templates).body, 1, mtime=0))
    data[-random.randrange(1, 9)] ^= 1 << random.randrange(8)  # CRC-32 or size
    return GZIP, bytes(data), Judged("bad")


@mutation
def gzip_members(random: Random, pool: Pool) -> Made:
    body = random.choice(pool.templates).body
    at = random.randrange(len(body) + 1)
    return (
        GZIP,
        gzip.compress(body[:at], 1, mtime=0) + gzip.compress(body[at:], 1, mtime=0),
        templates.judge(body),
    )


@mutation
def gzip_flags(random: Random, pool: Pool) -> Made:
    """Reserved flags, or fields that are promised and not there."""
    data = bytearray(gzip.compress(random.choice(pool.templates).body, 1, mtime=0))
    data[3] = random.choice((0x20, 0x40, 0x80, 0x02, 0x04, 0x08, 0x10, 0xFF))
    return GZIP, bytes(data), None


@mutation
def gzip_in_gzip(random: Random, pool: Pool) -> Made:
    body = gzip.compress(gzip.compress(random.choice(pool.templates).body, 1, mtime=0), 1, mtime=0)
    return GZIP, body, Judged("bad")


@mutation
def zlib_checksum(random: Random, pool: Pool) -> Made:
    data = bytearray(zlib.compress(random.choice(pool.templates).body, 1))
    data[-random.randrange(1, 5)] ^= 1 << random.randrange(8)
    return DEFLATE, bytes(data), Judged("bad")


@mutation
def zlib_dictionary(random: Random, pool: Pool) -> Made:
    maker = zlib.compressobj(1, zdict=b"service.name")
    data = maker.compress(random.choice(pool.templates).body) + maker.flush()
    return DEFLATE, data, Judged("bad")


@mutation
def bomb(random: Random, pool: Pool) -> Made:  # noqa: ARG001
    encoding = random.choice((GZIP, DEFLATE, ZSTD))
    return encoding, _bomb(encoding), Judged("large")


def _bomb(encoding: bytes) -> bytes:
    if encoding not in _BOMBS:
        _BOMBS[encoding] = compression.deflate(bytes(16 << 20), encoding.decode())
    return _BOMBS[encoding]


_BOMBS: dict[bytes, bytes] = {}


@mutation
def zstd_frame_lies(random: Random, pool: Pool) -> Made:  # noqa: ARG001
    """A frame header that promises up to 2**64 bytes, or a window of many gigabytes."""
    magic = b"\x28\xb5\x2f\xfd"
    size = struct.pack("<Q", random.choice((LIMIT + 1, 2**31, 2**40, 2**64 - 1)))
    promised = magic + b"\xe0" + size + b"\x01\x00\x00"  # single segment, size in 8 bytes
    window = magic + b"\x00" + bytes([random.choice((0x70, 0xA0, 0xF8, 0xFF))]) + b"\x01\x00\x00"
    return ZSTD, random.choice((promised, window)), None


@mutation
def zstd_skippable(random: Random, pool: Pool) -> Made:
    body = random.choice(pool.templates).body
    skipped = random.randbytes(random.randrange(20))
    frame = b"\x50\x2a\x4d\x18" + struct.pack("<I", len(skipped)) + skipped
    return ZSTD, frame + compression.deflate(body, "zstd"), None


@mutation
def snappy_length_lies(random: Random, pool: Pool) -> Made:
    body = random.choice(pool.templates).body
    data = compression.deflate(body, "snappy")
    size = random.choice((0, len(body) - 1, len(body) + 1, LIMIT + 1, 2**32 - 1, 2**32, 2**63))
    block = wire.varint(size) + data[len(wire.varint(len(body))) :]
    return SNAPPY, block, Judged("large") if size > LIMIT else None


@mutation
def snappy_chunks(random: Random, pool: Pool) -> Made:
    """Framed snappy: a wrong checksum, reserved chunks, no stream identifier, two of them."""
    data = compression.deflate(random.choice(pool.templates).body, "x-snappy-framed")
    chunk = data[len(SNAPPY_MAGIC) :]
    crc = bytearray(chunk)
    crc[4] ^= 1
    padding = b"\xfe\x03\x00\x00abc"
    return (
        random.choice((SNAPPY, FRAMED)),
        random.choice(
            (
                SNAPPY_MAGIC + bytes(crc),
                SNAPPY_MAGIC + padding + chunk,
                SNAPPY_MAGIC + b"\x02\x01\x00\x00a" + chunk,
                SNAPPY_MAGIC + b"\x80\x01\x00\x00a" + chunk,
                SNAPPY_MAGIC + SNAPPY_MAGIC + chunk,
                SNAPPY_MAGIC + b"\x00\xff\xff\xff" + chunk[4:],
                SNAPPY_MAGIC + b"\x01\x02\x00\x00ab",
                SNAPPY_MAGIC,
            )
        ),
        None,
    )


_NAMES = tuple(MUTATIONS)


def draw(random: Random, pool: Pool) -> tuple[str, bytes, bytes, Judged | None]:
    """Return name, encoding, body and what is owed."""
    name = random.choice(_NAMES)
    return name, *MUTATIONS[name](random, pool)
