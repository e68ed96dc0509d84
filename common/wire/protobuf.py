"""Protocol buffers on the wire: varints, tags, framing, and a walk over the fields of a message.

Source: the protobuf encoding guide. What is refused and what is tolerated follows upb, the parser
behind ``google.protobuf``, which validates requests before anything here walks them: tags of up to
5 bytes, lengths of up to 5 bytes and 2 GiB, values of up to 10 bytes whose bits beyond 64 are
dropped, non-minimal varints welcome, groups nested up to 100 deep.
"""

from __future__ import annotations

from typing import TypeAlias

from common.wire import errors

VARINT, FIXED64, BYTES, START_GROUP, END_GROUP, FIXED32 = range(6)

Field: TypeAlias = tuple[int, int, int, int, int]
"""Field number, wire type, offset of the tag, offset of the value, offset behind the field."""

_MAX_DEPTH = 100  # of groups; upb's limit
_MAX_LENGTH = 0x7FFF_FFFF
# A field costs some 180 bytes here and may take two on the wire: 64 MiB must not become 6 GiB.
_MIN_FIELDS = 4_096
_BYTES_PER_FIELD = 8
_MASK = (1 << 64) - 1
_SHORT = tuple(bytes((n,)) for n in range(128))


def varint(n: int) -> bytes:
    """Encode *n*, from -2**63 to 2**64 - 1; a negative number takes ten bytes, as int64 does."""
    if 0 <= n < 128:
        return _SHORT[n]
    if 0 < n < 16384:
        return bytes((n & 127 | 128, n >> 7))
    if n < 0:
        n += 1 << 64
    if not 0 <= n <= _MASK:
        raise RuntimeError(f"BUG: {n} does not fit a 64-bit varint")
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def zigzag(n: int) -> int:
    """Map a signed 64-bit number to the unsigned one that sint32 and sint64 put on the wire."""
    return ((n << 1) ^ (n >> 63)) & _MASK


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """Decode the varint at offset *at*; return its value and the offset behind it.

    Bits beyond 64 are dropped, as every parser does. Raises `errors.Malformed` if it is cut short
    or longer than ten bytes.
    """
    value = shift = 0
    try:
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value & _MASK, at
            shift += 7
            if shift == 70:
                raise errors.Malformed(
                    f"varint ending at byte {at} has more than 10 bytes; send at most 10"
                )
    except IndexError:
        raise errors.Malformed(
            f"varint cut short after {len(data)} bytes; send the whole message"
        ) from None


def tag(field: int, wire_type: int) -> bytes:
    """Encode the tag of *field*, a number from 1 to 2**29 - 1."""
    return varint(field << 3 | wire_type)


def framed(field: int, payload: bytes) -> bytes:
    """Encode *payload* as a length-delimited field: a message, text, bytes or packed numbers."""
    return b"".join((varint(field << 3 | 2), varint(len(payload)), payload))


def fields(data: bytes, start: int = 0, end: int | None = None) -> list[Field]:  # noqa: C901, PLR0912 - a walker
    """List the fields of the message in ``data[start:end]``, in wire order; values are not decoded.

    Each is (field number, wire type, offset of the tag, offset of the value, offset behind it).
    The value of a length-delimited field begins behind its length; that of a group behind its
    start tag, while the group's last offset is behind its end tag. Raises `errors.Malformed` for
    whatever upb refuses at this level, and for messages of more than 4,096 fields of less than 8
    bytes on average; length-delimited contents are not looked into.
    """
    stop = len(data) if end is None else end
    most = _MIN_FIELDS + (stop - start) // _BYTES_PER_FIELD
    found: list[Field] = []
    at = start
    while at < stop:
        tag_at = at
        key = data[at]
        at += 1
        if key > 127:  # a field number above 15, or a non-minimal tag
            key, at = read_varint(data, tag_at)
            if at > tag_at + 5 or key > 0xFFFF_FFFF:
                raise errors.Malformed(f"tag at byte {tag_at} exceeds 32 bits; send a field number")
        wire_type = key & 7
        if key < 8:
            raise errors.Malformed(f"field number 0 at byte {tag_at}; numbers start at 1")
        if wire_type == BYTES:
            # Nearly every field here; lengths of one and two bytes are 99 in a hundred of these.
            size_at = at
            size = data[at] if at < stop else 128
            at += 1
            if size > 127:
                size, at = read_varint(data, size_at)
                if at > size_at + 5 or size > _MAX_LENGTH:
                    raise errors.Malformed(f"length at byte {size_at} exceeds {_MAX_LENGTH}")
            value_at = at
            at += size
        elif wire_type == VARINT:
            value_at = at
            _, at = read_varint(data, at)
        elif wire_type == FIXED64:
            value_at = at
            at += 8
        elif wire_type == FIXED32:
            value_at = at
            at += 4
        elif wire_type == START_GROUP:
            value_at = at
            at = _behind_group(data, at, stop, key >> 3)
        else:
            raise errors.Malformed(
                f"wire type {wire_type} at byte {tag_at}; expected 0, 1, 2, 5 or a whole group"
            )
        if at > stop:
            raise errors.Malformed(
                f"field {key >> 3} at byte {tag_at} ends at {at}, the message at {stop}; "
                "send the whole message"
            )
        found.append((key >> 3, wire_type, tag_at, value_at, at))
        if len(found) > most:
            raise errors.Malformed(
                f"more than {most} fields in a message of {stop - start} bytes; pack them"
            )
    return found


def _behind_group(data: bytes, at: int, stop: int, field: int) -> int:
    """Return the offset behind the end tag of group *field*, whose contents start at *at*."""
    open_groups = [field]
    while open_groups:
        if at >= stop:
            raise errors.Malformed(f"group {open_groups[-1]} has no end within {stop} bytes")
        tag_at = at
        key, at = read_varint(data, at)
        number, wire_type = key >> 3, key & 7
        if at > tag_at + 5 or not 1 <= number < 1 << 29:
            raise errors.Malformed(f"tag at byte {tag_at} is not a field number with a wire type")
        if wire_type == END_GROUP:
            if number != open_groups.pop():
                raise errors.Malformed(f"group {number} ends at byte {tag_at}, but was not open")
        elif wire_type == START_GROUP:
            open_groups.append(number)
            if len(open_groups) > _MAX_DEPTH:
                raise errors.Malformed(f"groups nested deeper than {_MAX_DEPTH} at byte {tag_at}")
        else:
            # One field, told by its own end: recursion is impossible, groups were handled above.
            at = _behind_value(data, at, wire_type, tag_at)
    if at > stop:
        raise errors.Malformed(f"group {field} ends at byte {at}, the message at {stop}")
    return at


def _behind_value(data: bytes, at: int, wire_type: int, tag_at: int) -> int:
    match wire_type:
        case 0:
            return read_varint(data, at)[1]
        case 1:
            return at + 8
        case 2:
            size, behind = read_varint(data, at)
            if behind > at + 5 or size > _MAX_LENGTH:
                raise errors.Malformed(f"length at byte {at} exceeds {_MAX_LENGTH}")
            return behind + size
        case 5:
            return at + 4
        case _:
            raise errors.Malformed(
                f"wire type {wire_type} at byte {tag_at}; expected 0, 1, 2, 5 or a whole group"
            )
