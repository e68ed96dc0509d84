"""Protobuf as bytes with places in them, so that one thing can be made wrong and the rest kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from google.protobuf.descriptor import Descriptor, FieldDescriptor


@dataclass(frozen=True, slots=True)
class Frame:
    """Where a length-delimited field lies: its length, its payload, its end."""

    size_at: int
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """Where one field lies, and inside which others; offsets into the whole body."""

    at: int
    value_at: int  # behind the tag
    start: int  # behind the length, if it has one
    end: int
    wire_type: int
    kind: int  # FieldDescriptor.TYPE_*, 0 if unknown
    inside: tuple[Frame, ...]  # outermost first


def varint(n: int) -> bytes:
    """Encode *n*, of any size, in as few bytes as it needs."""
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def tag(number: int, wire_type: int) -> bytes:
    return varint(number << 3 | wire_type)


def framed(number: int, payload: bytes) -> bytes:
    return tag(number, 2) + varint(len(payload)) + payload


def read_varint(body: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = body[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


def fields(
    body: bytes,
    message: Descriptor,
    start: int = 0,
    end: int | None = None,
    inside: tuple[Frame, ...] = (),
) -> Iterator[Field]:
    """Yield every field of a valid *body* without groups, those inside known messages included."""
    at, end = start, len(body) if end is None else end
    while at < end:
        number, value_at = read_varint(body, at)
        number, wire_type = number >> 3, number & 7
        known = message.fields_by_number.get(number)
        behind = begin = value_at
        if wire_type == 0:
            _, behind = read_varint(body, value_at)
        elif wire_type == 2:
            size, begin = read_varint(body, value_at)
            behind = begin + size
        else:
            behind += {1: 8, 5: 4}[wire_type]
        yield Field(
            at=at,
            value_at=value_at,
            start=begin,
            end=behind,
            wire_type=wire_type,
            kind=known.type if known else 0,
            inside=inside,
        )
        if wire_type == 2 and known and known.type == FieldDescriptor.TYPE_MESSAGE:
            deeper = (*inside, Frame(value_at, begin, behind))
            yield from fields(body, known.message_type, begin, behind, deeper)
        at = behind


def replaced(body: bytes, start: int, end: int, new: bytes, inside: tuple[Frame, ...]) -> bytes:
    """Put *new* in the place of ``body[start:end]`` and make the lengths around it true again."""
    grown = len(new) - (end - start)
    body = body[:start] + new + body[end:]
    for frame in reversed(inside):
        size = varint(frame.end - frame.start + grown)
        body = body[: frame.size_at] + size + body[frame.start :]
        grown += len(size) - (frame.start - frame.size_at)
    return body
