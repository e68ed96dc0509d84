"""OTLP metrics requests in JSON: written anew as protobuf, so that one road serves both encodings.

Source: opentelemetry-proto docs/specification.md, "JSON Protobuf Encoding": lowerCamelCase names
(the original ones are accepted too), trace and span ids in hexadecimal instead of base64, 64-bit
integers as decimal strings or numbers, enums as integers (names are accepted too), unknown fields
ignored, null as the default. The tables are made from the descriptors of opentelemetry-proto.
`google.protobuf.json_format` reads ids as base64 and is five times slower.
"""

from __future__ import annotations

import base64
import math
import re
import struct
from collections.abc import Callable
from typing import TypeAlias

import msgspec
from google.protobuf import descriptor
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2

from common.wire import errors, protobuf

Write: TypeAlias = Callable[[object, int], bytes]
"""Encode a JSON value that is nested some levels deep, without tag; raises `_Misfit`."""
Table: TypeAlias = dict[str, tuple[Write, str | None]]
"""How each field of a message is written, tag included, and the oneof it belongs to, by name."""

_Kind = descriptor.FieldDescriptor
_MAX_DEPTH = 100  # of messages: upb's limit, which the result meets next
_WHOLE = re.compile(r"[+-]?[0-9]{1,20}")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)
_NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_pack_double = struct.Struct("<d").pack
_IDS = {"trace_id": 16, "span_id": 8, "parent_span_id": 8}  # bytes


class _Misfit(Exception):
    """A JSON value that its field cannot take; the path grows on the way up."""

    def __init__(self, expected: str, got: object) -> None:
        shown = "an object" if type(got) is dict else "a list" if type(got) is list else repr(got)
        super().__init__(f"expected {expected}, got {shown[:60]}")
        self.path: list[str] = []


def to_protobuf(body: bytes) -> bytes:
    """Return the ExportMetricsServiceRequest that the JSON text *body* says, as protobuf.

    Raises `errors.Malformed` with the path of the first value that does not fit its field.
    """
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise errors.Malformed(f"not JSON: {error}") from error
    except RecursionError as error:
        raise errors.Malformed("JSON nested too deep; send at most 100 messages deep") from error
    try:
        return _request(document, 0)
    except _Misfit as misfit:
        path = "".join(reversed(misfit.path)).lstrip(".") or "the document"
        raise errors.Malformed(f"{path}: {misfit}") from misfit


def response(rejected: int = 0, message: str = "") -> bytes:
    """Encode an ExportMetricsServiceResponse in JSON; ``{}`` is full success."""
    partial: dict[str, str] = {}
    if rejected:
        partial["rejectedDataPoints"] = str(rejected)
    if message:
        partial["errorMessage"] = message
    return msgspec.json.encode({"partialSuccess": partial} if partial else {})


def _message(kind: descriptor.Descriptor, known: dict[str, Write]) -> Write:
    """Make the writer of a message type; *known* ends the recursion of AnyValue."""
    if kind.full_name in known:
        return known[kind.full_name]
    table: Table = {}

    def write(value: object, depth: int) -> bytes:
        if type(value) is not dict:
            raise _Misfit("an object", value)
        if depth > _MAX_DEPTH:
            raise _Misfit(f"at most {_MAX_DEPTH} nested messages", value)
        out: list[bytes] = []
        chosen: dict[str, str] = {}
        for name, item in value.items():
            entry = table.get(name)
            if entry is None or item is None:
                continue
            # Two members of a oneof would silently lose the first, with all its points.
            if entry[1] is not None and chosen.setdefault(entry[1], name) != name:
                raise _Misfit(f"{chosen[entry[1]]} alone, not {name} beside it", item)
            try:
                out.append(entry[0](item, depth + 1))
            except _Misfit as misfit:
                misfit.path.append(f".{name}")
                raise
        return b"".join(out)

    known[kind.full_name] = write
    for field in kind.fields:
        oneof = field.containing_oneof
        entry = _field(field, known), None if oneof is None else oneof.name
        table[field.name] = table[field.json_name] = entry
    return write


def _field(field: descriptor.FieldDescriptor, known: dict[str, Write]) -> Write:
    """Make the writer of a field, its tag included."""
    write, wire_type = _scalar(field, known)
    packed = field.is_repeated and wire_type != protobuf.BYTES
    tag = protobuf.tag(field.number, protobuf.BYTES if packed else wire_type)

    def single(value: object, depth: int) -> bytes:
        return tag + write(value, depth)

    def framed(value: object, depth: int) -> bytes:
        body = write(value, depth)
        return b"".join((tag, protobuf.varint(len(body)), body))

    def repeated(value: object, depth: int) -> bytes:
        if type(value) is not list:
            raise _Misfit("a list", value)
        out: list[bytes] = []
        try:
            for item in value:
                body = write(item, depth)
                out.append(body if packed else tag + protobuf.varint(len(body)) + body)
        except _Misfit as misfit:
            misfit.path.append(f"[{len(out)}]")
            raise
        joined = b"".join(out)
        return tag + protobuf.varint(len(joined)) + joined if packed and out else joined

    if field.is_repeated:
        return repeated
    return framed if wire_type == protobuf.BYTES else single


def _scalar(field: descriptor.FieldDescriptor, known: dict[str, Write]) -> tuple[Write, int]:
    """Make the writer of one value of a field, and say its wire type."""
    if field.message_type is not None:
        return _message(field.message_type, known), protobuf.BYTES
    if field.enum_type is not None:
        return _enum({v.name: v.number for v in field.enum_type.values}), protobuf.VARINT
    if field.name in _IDS:
        return _identifier(_IDS[field.name]), protobuf.BYTES
    return _SCALARS[field.type]  # a KeyError is our bug: a type new to OTLP, found at import


def _text(value: object, _: int) -> bytes:
    if type(value) is not str:
        raise _Misfit("a string", value)
    return value.encode()


def _bool(value: object, _: int) -> bytes:
    if type(value) is not bool:
        raise _Misfit("true or false", value)
    return b"\x01" if value else b"\x00"


def _double(value: object, _: int) -> bytes:
    if type(value) is str:
        if value in _NOT_FINITE:
            return _pack_double(_NOT_FINITE[value])
        number = float(value) if _NUMBER.fullmatch(value) else math.inf
    elif type(value) is float or type(value) is int:
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
    else:
        number = math.inf
    if math.isinf(number):
        raise _Misfit('a 64-bit float, "NaN", "Infinity" or "-Infinity"', value)
    return _pack_double(number)


def _integer(low: int, high: int, encode: Callable[[int], bytes]) -> Write:
    """Make a writer of integers from *low* up to, not including, *high*."""

    def write(value: object, _: int) -> bytes:
        if type(value) is int:
            number = value
        elif (type(value) is str and _WHOLE.fullmatch(value)) or (
            type(value) is float and value.is_integer()  # 1e9 is as good as 1000000000
        ):
            number = int(value)
        else:
            raise _Misfit("an integer or its decimal digits", value)
        if not low <= number < high:
            raise _Misfit(f"an integer from {low} to {high - 1}", value)
        return encode(number)

    return write


def _enum(numbers: dict[str, int]) -> Write:
    """Make a writer of enums: any 32-bit number, as enums are open, or one of the names."""
    integer = _integer(-1 << 31, 1 << 31, protobuf.varint)

    def write(value: object, depth: int) -> bytes:
        if type(value) is not str:
            return integer(value, depth)
        if value not in numbers:
            raise _Misfit(f"an integer or one of {', '.join(numbers)}", value)
        return protobuf.varint(numbers[value])

    return write


def _identifier(size: int) -> Write:
    """Make a writer of trace or span ids of *size* bytes."""
    expected = f"{2 * size} hexadecimal digits, or none"
    digits = re.compile(rf"([0-9a-fA-F]{{{2 * size}}})?")

    def write(value: object, _: int) -> bytes:
        if type(value) is not str or not digits.fullmatch(value):
            raise _Misfit(expected, value)
        return bytes.fromhex(value)

    return write


def _base64(value: object, _: int) -> bytes:
    if type(value) is not str:
        raise _Misfit("base64 text", value)
    standard = value.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except ValueError as error:  # binascii.Error, or text that is not ASCII
        raise _Misfit("base64 text", value) from error


_SCALARS: dict[int, tuple[Write, int]] = {
    _Kind.TYPE_STRING: (_text, protobuf.BYTES),
    _Kind.TYPE_BYTES: (_base64, protobuf.BYTES),
    _Kind.TYPE_BOOL: (_bool, protobuf.VARINT),
    _Kind.TYPE_DOUBLE: (_double, protobuf.FIXED64),
    _Kind.TYPE_FIXED64: (_integer(0, 1 << 64, struct.Struct("<Q").pack), protobuf.FIXED64),
    _Kind.TYPE_SFIXED64: (_integer(-1 << 63, 1 << 63, struct.Struct("<q").pack), protobuf.FIXED64),
    _Kind.TYPE_UINT32: (_integer(0, 1 << 32, protobuf.varint), protobuf.VARINT),
    _Kind.TYPE_UINT64: (_integer(0, 1 << 64, protobuf.varint), protobuf.VARINT),
    _Kind.TYPE_INT32: (_integer(-1 << 31, 1 << 31, protobuf.varint), protobuf.VARINT),
    _Kind.TYPE_INT64: (_integer(-1 << 63, 1 << 63, protobuf.varint), protobuf.VARINT),
    _Kind.TYPE_SINT32: (
        _integer(-1 << 31, 1 << 31, lambda n: protobuf.varint(protobuf.zigzag(n))),
        protobuf.VARINT,
    ),
}
_request = _message(metrics_service_pb2.ExportMetricsServiceRequest.DESCRIPTOR, {})
