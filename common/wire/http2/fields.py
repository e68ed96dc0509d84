"""One header block field by field, within a bound that is checked while it is decoded.

Source: RFC 7541 sections 5 and 6. The static and dynamic tables and the Huffman code are those of
the package hpack; its own decoder takes four times as long (20 against 5 µs for a usual request),
which matters for clients whose every block differs: those in Go put the time that is left into
each request's grpc-timeout, and into the table. The tests hold it against hpack's.
"""

from __future__ import annotations

from typing import Final

from hpack.exceptions import HPACKDecodingError
from hpack.huffman_table import decode_huffman
from hpack.table import HeaderTable

Field = tuple[bytes, bytes]

OVERHEAD: Final = 32  # bytes that count for each field beside its own (section 4.1)

_STATIC: Final[tuple[Field, ...]] = ((b"", b""), *HeaderTable.STATIC_TABLE)
_STATICS: Final = len(_STATIC)
_MAX_SHIFT: Final = 28  # of an integer: 32 bits and more are beyond all limits


class Undecodable(Exception):
    """The block is no header block; the table can no longer be relied on."""


class TooLong(Exception):
    """The list exceeds its bound; the table can no longer be relied on."""


def decode(block: bytes, table: HeaderTable, max_table: int, max_bytes: int) -> list[Field]:  # noqa: C901, PLR0912 - a walker
    """Return the fields of *block*, at most *max_bytes* with their overhead; updates *table*.

    *max_table* is what the peer may make the size of *table*. Raises `Undecodable` and `TooLong`.
    """
    found: list[Field] = []
    at, end, size = 0, len(block), 0
    try:
        while at < end:
            byte = block[at]
            at += 1
            if byte & 0x80:  # indexed: name and value
                index = byte & 0x7F
                if index == 0x7F:
                    index, at = _integer(block, at, 0x7F)
                field = _entry(table, index)
            elif byte & 0xE0 == 0x20:  # a new size of the table, in front of all fields only
                new = byte & 0x1F
                if new == 0x1F:
                    new, at = _integer(block, at, 0x1F)
                if found or new > max_table:
                    where = "behind a field" if found else f"of {new} bytes, {max_table} at most"
                    raise Undecodable(f"a table size update {where}")
                table.maxsize = new
                continue
            else:  # a literal, perhaps to be put into the table
                keep = byte & 0x40
                mask = 0x3F if keep else 0x0F
                index = byte & mask
                if index == mask:
                    index, at = _integer(block, at, mask)
                if index:
                    name = _entry(table, index)[0]
                else:
                    name, at = _text(block, at)
                value, at = _text(block, at)
                field = (name, value)
                if keep:
                    table.add(name, value)
            size += len(field[0]) + len(field[1]) + OVERHEAD
            if size > max_bytes:
                raise TooLong(f"a header list of more than {max_bytes} bytes")
            found.append(field)
    except IndexError:
        raise Undecodable(f"the block is cut short after {end} bytes") from None
    except HPACKDecodingError as error:
        raise Undecodable(str(error)) from error
    if table.maxsize > max_table:
        raise Undecodable(f"the table was not made smaller, to {max_table} bytes, as it has to be")
    return found


def _entry(table: HeaderTable, index: int) -> Field:
    if 0 < index < _STATICS:
        return _STATIC[index]
    entries = table.dynamic_entries
    if not index or index - _STATICS >= len(entries):
        raise Undecodable(f"index {index} is not in the table")
    return entries[index - _STATICS]


def _integer(block: bytes, at: int, value: int) -> tuple[int, int]:
    """Go on with an integer whose prefix was full (*value*) at the offset *at*."""
    shift = 0
    while True:
        byte = block[at]
        at += 1
        value += (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > _MAX_SHIFT:
            raise Undecodable("an integer of more than 32 bits")


def _text(block: bytes, at: int) -> tuple[bytes, int]:
    length = block[at]
    at += 1
    coded = length & 0x80
    length &= 0x7F
    if length == 0x7F:
        length, at = _integer(block, at, 0x7F)
    stop = at + length
    if stop > len(block):
        raise IndexError
    text = block[at:stop]
    return (decode_huffman(text) if coded else text), stop
