"""HTTP/2 frames and header blocks made by hand, so that any part of them can be wrong."""

from __future__ import annotations

import struct
from collections.abc import Iterable

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS = 0, 1, 2, 3, 4
PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 5, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITISED = 1, 1, 4, 8, 32
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
CODES = (
    "NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT",
    "STREAM_CLOSED", "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR",
    "CONNECT_ERROR", "ENHANCE_YOUR_CALM", "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
)  # fmt: skip
STATUSES = (
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
    "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED",
    "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
)  # fmt: skip
EXPORT = b"/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
HEALTH = b"/grpc.health.v1.Health/Check"


def code(coded: bytes) -> str:
    """Return the name of an error code of four bytes."""
    number = int.from_bytes(coded)
    return CODES[number] if number < len(CODES) else str(number)


Fields = Iterable[tuple[bytes, bytes]]


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    return struct.pack(">IBI", len(payload) << 8 | kind, flags, stream) + payload


def lying(length: int, kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    """Make a frame that says it has *length* bytes."""
    return struct.pack(">IBI", length << 8 | kind, flags, stream) + payload


def integer(value: int, bits: int, first: int = 0) -> bytes:
    """Encode an integer of HPACK (RFC 7541 section 5.1) behind the bits *first*."""
    most = (1 << bits) - 1
    if value < most:
        return bytes([first | value])
    out = bytearray([first | most])
    value -= most
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def literal(name: bytes, value: bytes, first: int = 0) -> bytes:
    """Encode a field as a literal without Huffman; ``first=0x40`` puts it into the table."""
    return bytes([first]) + integer(len(name), 7) + name + integer(len(value), 7) + value


def block(fields: Fields) -> bytes:
    """Encode fields so that neither side's table changes."""
    return b"".join([literal(name, value) for name, value in fields])


REQUEST: tuple[tuple[bytes, bytes], ...] = (
    (b":method", b"POST"), (b":scheme", b"http"), (b":path", EXPORT), (b":authority", b"gateway"),
    (b"te", b"trailers"), (b"content-type", b"application/grpc"),  # codespell:ignore te
    (b"user-agent", b"fuzz"),
)  # fmt: skip


def request(*more: tuple[bytes, bytes], **changed: bytes | None) -> list[tuple[bytes, bytes]]:
    """Return the fields of a request; ``path=None`` leaves ``:path`` out."""
    fields = []
    for name, value in REQUEST:
        key = name.decode().strip(":").replace("-", "_")
        if key not in changed:
            fields.append((name, value))
        elif (new := changed[key]) is not None:
            fields.append((name, new))
    return [*fields, *more]


BLOCK = block(REQUEST)


def headers(stream: int, coded: bytes = BLOCK, flags: int = END_HEADERS) -> bytes:
    return frame(HEADERS, flags, stream, coded)


def message(body: bytes, flag: int = 0) -> bytes:
    """Put the five bytes of gRPC before *body*."""
    return struct.pack(">BI", flag, len(body)) + body


def settings(*values: tuple[int, int]) -> bytes:
    return frame(SETTINGS, 0, 0, b"".join([struct.pack(">HI", *each) for each in values]))


def window_update(stream: int, credit: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", credit))


def reset(stream: int, code: int = 8) -> bytes:
    return frame(RST_STREAM, 0, stream, struct.pack(">I", code))
