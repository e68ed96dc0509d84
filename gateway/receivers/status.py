"""The ``google.rpc.Status`` that refusals carry, in protobuf and in JSON.

Source: google/rpc/status.proto, google/rpc/error_details.proto, google/protobuf/duration.proto;
OTLP specification, "Failures". Written by hand: three tiny messages do not justify a dependency.
"""

from __future__ import annotations

from typing import Final

import msgspec

from common.wire import protobuf

CANCELLED: Final = 1
INVALID_ARGUMENT: Final = 3
DEADLINE_EXCEEDED: Final = 4
NOT_FOUND: Final = 5
RESOURCE_EXHAUSTED: Final = 8
UNIMPLEMENTED: Final = 12
INTERNAL: Final = 13
UNAVAILABLE: Final = 14
UNAUTHENTICATED: Final = 16

NAMES: Final = {
    0: "ok",
    CANCELLED: "cancelled",
    INVALID_ARGUMENT: "invalid_argument",
    DEADLINE_EXCEEDED: "deadline_exceeded",
    NOT_FOUND: "not_found",
    RESOURCE_EXHAUSTED: "resource_exhausted",
    UNIMPLEMENTED: "unimplemented",
    INTERNAL: "internal",
    UNAVAILABLE: "unavailable",
    UNAUTHENTICATED: "unauthenticated",
}
"""What the codes are called where answers are counted."""

_TYPE: Final = "type.googleapis.com/google.rpc."


def encoded(code: int, message: str, *, retry_after: float | None = None) -> bytes:
    """Return an encoded Status; with RetryInfo if *retry_after* (seconds) is given.

    An INVALID_ARGUMENT carries its message as a BadRequest as well, as the specification asks.
    """
    # message Status { int32 code = 1; string message = 2; repeated Any details = 3; }
    parts = [protobuf.tag(1, protobuf.VARINT), protobuf.varint(code)]
    parts.append(protobuf.framed(2, message.encode()))
    if retry_after is not None:
        # message RetryInfo { Duration retry_delay = 1; }
        parts.append(_detail("RetryInfo", protobuf.framed(1, _duration(retry_after))))
    if code == INVALID_ARGUMENT:
        # message BadRequest { repeated FieldViolation field_violations = 1; }
        # message FieldViolation { string field = 1; string description = 2; }
        violation = protobuf.framed(2, message.encode())
        parts.append(_detail("BadRequest", protobuf.framed(1, violation)))
    return b"".join(parts)


def as_json(code: int, message: str, *, retry_after: float | None = None) -> bytes:
    """Return the same as `encoded` in the JSON mapping of protobuf."""
    details: list[dict[str, object]] = []
    if retry_after is not None:
        details.append({"@type": f"{_TYPE}RetryInfo", "retryDelay": f"{retry_after:.3f}s"})
    if code == INVALID_ARGUMENT:
        violation = {"description": message}
        details.append({"@type": f"{_TYPE}BadRequest", "fieldViolations": [violation]})
    status: dict[str, object] = {"code": code, "message": message}
    if details:
        status["details"] = details
    return msgspec.json.encode(status)


def _duration(seconds: float) -> bytes:
    # message Duration { int64 seconds = 1; int32 nanos = 2; }
    whole, nanos = divmod(round(seconds * 1e9), 1_000_000_000)
    parts = []
    for field, value in ((1, whole), (2, nanos)):
        if value:
            parts += [protobuf.tag(field, protobuf.VARINT), protobuf.varint(value)]
    return b"".join(parts)


def _detail(name: str, value: bytes) -> bytes:
    # message Any { string type_url = 1; bytes value = 2; }
    any_value = protobuf.framed(1, f"{_TYPE}{name}".encode()) + protobuf.framed(2, value)
    return protobuf.framed(3, any_value)
