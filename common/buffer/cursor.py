"""What was settled, as bytes: two slots of fixed size, written in turns and in place.

A cursor never needs new space, so it can be written on a full disk. A slot that was being written
when the machine stopped fails its checksum, and the other, a second older, counts: what was settled
in between is sent twice.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Final, TypeAlias, final

from isal import isal_zlib

SLOT_BYTES: Final = 4096
FILE_BYTES: Final = 2 * SLOT_BYTES

# Magic; CRC-32 of what follows; generation; low-water mark; number of the next record; intervals.
_HEAD: Final = struct.Struct("<4sIQQQI")
_INTERVAL: Final = struct.Struct("<QI")
_MAGIC: Final = b"hgc\x01"
_SUMMED: Final = 8
_MOST_LENGTH: Final = (1 << 32) - 1
MOST_INTERVALS: Final = (SLOT_BYTES - _HEAD.size) // _INTERVAL.size

Intervals: TypeAlias = tuple[tuple[int, int], ...]
"""Ranges of numbers, the second behind the last."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """Which records of a log are never to be read again."""

    low: int = 1
    """All below are settled, or gone."""
    next: int = 1
    """No record has had this number yet, nor a higher one, when this was said."""
    settled: Intervals = ()
    """Those above the low-water mark that are settled, as far as there is room: 338 ranges."""


def bounded(intervals: Iterable[tuple[int, int]]) -> Intervals:
    """Return as many of *intervals* as a slot takes; what is left out is merely sent twice."""
    return tuple(islice(intervals, MOST_INTERVALS))


def encode(cursor: Cursor, generation: int) -> tuple[int, bytes]:
    """Return where in the file to write *cursor*, and what: the slot of this *generation*."""
    parts = [
        _INTERVAL.pack(start, min(end - start, _MOST_LENGTH))
        for start, end in cursor.settled[:MOST_INTERVALS]
    ]
    head = _HEAD.pack(_MAGIC, 0, generation, cursor.low, cursor.next, len(parts))
    slot = b"".join((head, *parts)).ljust(SLOT_BYTES, b"\0")
    summed = isal_zlib.crc32(slot[_SUMMED:]).to_bytes(4, "little")
    return generation % 2 * SLOT_BYTES, b"".join((slot[:4], summed, slot[_SUMMED:]))


def decode(file: bytes) -> tuple[Cursor, int]:
    """Return the newer of the cursors in *file*, and its generation; nothing settled, 0 if none."""
    found = [_decode(file[at : at + SLOT_BYTES]) for at in (0, SLOT_BYTES)]
    return max(
        (slot for slot in found if slot is not None),
        key=lambda slot: slot[1],
        default=(Cursor(), 0),
    )


def _decode(slot: bytes) -> tuple[Cursor, int] | None:
    if len(slot) != SLOT_BYTES:
        return None
    magic, summed, generation, low, following, count = _HEAD.unpack_from(slot)
    if magic != _MAGIC or isal_zlib.crc32(slot[_SUMMED:]) != summed or count > MOST_INTERVALS:
        return None
    ranges = [_INTERVAL.unpack_from(slot, _HEAD.size + i * _INTERVAL.size) for i in range(count)]
    settled = tuple((start, start + length) for start, length in ranges)
    return Cursor(low=low, next=following, settled=settled), generation
