"""Content encodings: inflate within a hard limit, deflate for sending.

Inflation streams, so that a bomb costs at most the limit and one chunk, and every way in which
compressed bytes can be wrong ends in `errors.Malformed` or `errors.TooLarge`. Names are those of
``Content-Encoding`` and ``grpc-encoding``, in any case.

Sources: RFC 1950, 1952, 8878; google/snappy format_description.txt and framing_format.txt; for what
senders use, the Collector's HTTP server settings (snappy is told apart by its first bytes).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TypeVar

import cramjam
from isal import igzip_lib, isal_zlib

from common.wire import errors, protobuf

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_GZIP, _ZLIB = 31, 15  # window bits and wrapper, as zlib encodes both in one number
_CHUNK = 64 << 10  # bytes fed at a time: what is copied when a gzip member ends within
_STEP = 1 << 20  # bytes of zstd output at a time
_MAX_PARTS = 4_096  # gzip members or zstd frames: each costs µs, and 64 MiB hold three million
_MAX_FRAMES = 65_536  # snappy chunks, for the same reason
_SNAPPY_MAGIC = b"\xff\x06\x00\x00sNaPpY"
_SNAPPY_RATIO = 22  # a copy of three bytes yields 64, nothing yields more per byte
_SNAPPY_BLOCK = 65_536  # uncompressed bytes in a chunk of the framing format
# RFC 8878 asks decoders for 8 MiB at least; more belongs to encoders at levels of 20 and above.
_ZSTD_HEADER = 18  # the longest a frame header can be
_ZSTD_WINDOW: Mapping[int, int] = {zstd.DecompressionParameter.window_log_max: 23}


_T = TypeVar("_T")


class UnknownEncoding(errors.Malformed):
    """The name of the encoding is none of ours."""


def inflate(data: bytes, encoding: str, max_bytes: int) -> bytes:
    """Undo *encoding*, giving at most *max_bytes*.

    ``identity`` (or nothing), ``gzip`` (all members), ``deflate`` and ``zlib`` (both zlib-wrapped),
    ``zstd`` (all frames, windows up to 8 MiB), ``snappy`` (a block, or framed if it starts so),
    ``x-snappy-framed``. Raises `UnknownEncoding`, `errors.TooLarge`, or `errors.Malformed` for
    bytes that are cut short, corrupt or followed by others.
    """
    return _named(_INFLATERS, encoding)(data, max_bytes)


def deflate(data: bytes | bytearray, encoding: str) -> bytes:
    """Apply *encoding*, one of those of `inflate`; ``snappy`` is the block format.

    gzip is at level 1, zstd at level 1: the CPU of a sender is dearer than the last few percent.
    Raises `UnknownEncoding`.
    """
    return _named(_DEFLATERS, encoding)(data)


def known(encoding: str) -> bool:
    """Say whether `inflate` knows *encoding*."""
    return _normal(encoding) in _INFLATERS


def _normal(encoding: str) -> str:
    return encoding.strip().lower() or "identity"


def _named(table: Mapping[str, _T], encoding: str) -> _T:
    found = table.get(_normal(encoding))
    if found is None:
        raise UnknownEncoding(
            f"unknown encoding {encoding[:40]!r}; use one of {', '.join(sorted(table))}"
        )
    return found


def _identity(data: bytes, max_bytes: int) -> bytes:
    if len(data) > max_bytes:
        raise _too_large(len(data), max_bytes)
    return data


def _gzip(data: bytes, max_bytes: int) -> bytes:
    return _streamed(data, max_bytes, _GZIP, _MAX_PARTS)


def _zlib(data: bytes, max_bytes: int) -> bytes:
    return _streamed(data, max_bytes, _ZLIB, 1)


def _streamed(data: bytes, max_bytes: int, wrapper: int, members: int) -> bytes:
    """Inflate up to *members* members, each with a zlib or gzip *wrapper*."""
    pieces: list[bytes] = []
    room = max_bytes
    stream = isal_zlib.decompressobj(wrapper)
    at, left, begun = 0, b"", 1
    try:
        while left or at < len(data):
            if stream.eof:
                begun += 1
                if begun > members:
                    raise errors.Malformed(f"more than {members} compressed streams; send one")
                stream = isal_zlib.decompressobj(wrapper)
            if not left:
                left = data if len(data) <= _CHUNK else data[at : at + _CHUNK]
                at += len(left)
            piece = stream.decompress(left, room + 1)  # 0 would mean no limit
            room -= len(piece)
            if room < 0:
                raise _too_large(None, max_bytes)
            pieces.append(piece)
            left = stream.unused_data if stream.eof else stream.unconsumed_tail
    except igzip_lib.IsalError as error:  # type: ignore[misc]  # the stub makes it an instance
        raise errors.Malformed(f"corrupt gzip or zlib data: {error}") from error
    if not stream.eof:
        raise errors.Malformed(f"compressed data cut short after {len(data)} bytes; send all of it")
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _zstd(data: bytes, max_bytes: int) -> bytes:
    pieces: list[bytes] = []
    room = max_bytes
    frames = at = 0
    left = b""
    stream: zstd.ZstdDecompressor | None = None
    try:
        while left or at < len(data):
            if not left:
                left = data if len(data) <= _CHUNK else data[at : at + _CHUNK]
                at += len(left)
            if stream is None or stream.eof:
                frames += 1
                if frames > _MAX_PARTS:
                    raise errors.TooLarge(f"more than {_MAX_PARTS} zstd frames; send one")
                stream = _zstd_frame(left + data[at : at + _ZSTD_HEADER], room, max_bytes)
            piece = stream.decompress(left, min(room + 1, _STEP))
            room -= len(piece)
            pieces.append(piece)
            while room >= 0 and not stream.eof and not stream.needs_input:
                piece = stream.decompress(b"", min(room + 1, _STEP))
                room -= len(piece)
                pieces.append(piece)
            if room < 0:
                raise _too_large(None, max_bytes)
            left = stream.unused_data
    except zstd.ZstdError as error:
        raise errors.Malformed(f"corrupt zstd data: {error}") from error
    if stream is None or not stream.eof:
        raise errors.Malformed(f"zstd data cut short after {len(data)} bytes; send all of it")
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _zstd_frame(start: bytes, room: int, max_bytes: int) -> zstd.ZstdDecompressor:
    """Return a decompressor for the frame that begins with *start*, if what it declares fits."""
    declared = zstd.get_frame_info(start).decompressed_size or 0
    if declared > room:
        raise _too_large(max_bytes - room + declared, max_bytes)
    return zstd.ZstdDecompressor(options=_ZSTD_WINDOW)


def _snappy(data: bytes, max_bytes: int) -> bytes:
    if data.startswith(_SNAPPY_MAGIC):
        return _snappy_framed(data, max_bytes)
    # The block says how long it will be; the decoder allocates that at once, so ask first.
    length, _ = protobuf.read_varint(data, 0)
    if length > max_bytes:
        raise _too_large(length, max_bytes)
    if length > _SNAPPY_RATIO * len(data):
        raise errors.Malformed(f"{len(data)} bytes of snappy cannot be the {length} they claim")
    try:
        return bytes(cramjam.snappy.decompress_raw(data))
    except cramjam.DecompressionError as error:
        raise errors.Malformed(f"corrupt snappy block: {error}") from error


def _snappy_framed(data: bytes, max_bytes: int) -> bytes:
    # The decoder knows no limit, so add up what the chunks claim; it checks them against the claim.
    # chunk: type (1 byte), length (3, little-endian), then for types 0 and 1 a CRC (4) and a body.
    at = total = chunks = 0
    while at < len(data):
        kind, length = data[at], int.from_bytes(data[at + 1 : at + 4], "little")
        claimed = 0
        if kind == 0:
            claimed, _ = protobuf.read_varint(data, at + 8)
        elif kind == 1:
            claimed = length - 4
        if claimed > _SNAPPY_BLOCK:
            raise errors.Malformed(f"snappy chunk of {claimed} bytes; send at most {_SNAPPY_BLOCK}")
        total += max(0, claimed)
        chunks += 1
        at += 4 + length
        if total > max_bytes:
            raise _too_large(total, max_bytes)
        if chunks > _MAX_FRAMES:
            raise errors.TooLarge(f"more than {_MAX_FRAMES} snappy chunks; send fewer, larger ones")
    if not data.startswith(_SNAPPY_MAGIC):
        raise errors.Malformed("framed snappy starts with a stream identifier; these bytes do not")
    try:
        return bytes(cramjam.snappy.decompress(data))
    except cramjam.DecompressionError as error:
        raise errors.Malformed(f"corrupt framed snappy: {error}") from error


def _too_large(size: int | None, max_bytes: int) -> errors.TooLarge:
    what = "more than the limit of" if size is None else f"{size} bytes, more than the limit of"
    return errors.TooLarge(f"inflates to {what} {max_bytes} bytes; send less at a time")


_INFLATERS: dict[str, Callable[[bytes, int], bytes]] = {
    "identity": _identity,
    "gzip": _gzip,
    "deflate": _zlib,
    "zlib": _zlib,
    "zstd": _zstd,
    "snappy": _snappy,
    "x-snappy-framed": _snappy_framed,
}
_DEFLATERS: dict[str, Callable[[bytes | bytearray], bytes]] = {
    "identity": bytes,
    "none": bytes,
    "gzip": lambda data: isal_zlib.compress(data, 1, _GZIP),
    "deflate": lambda data: isal_zlib.compress(data, 1, _ZLIB),
    "zlib": lambda data: isal_zlib.compress(data, 1, _ZLIB),
    "zstd": lambda data: zstd.compress(data, 1),
    "snappy": lambda data: bytes(cramjam.snappy.compress_raw(data)),
    "x-snappy-framed": lambda data: bytes(cramjam.snappy.compress(data)) or _SNAPPY_MAGIC,
}
