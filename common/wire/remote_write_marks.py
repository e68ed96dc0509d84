"""Marks in the numbers of a frame, and what the plain conversion makes of them.

Each time is one that nobody sends, and tells the unit; each value tells its role in the unit; the
counts of buckets are 1, so that a sum over them tells how many they were.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from common.wire import protobuf, remote_write_series
from common.wire.remote_write_places import DOUBLE, Unit
from common.wire.remote_write_requests import Request
from common.wire.remote_write_units import Walk

SUMS: Final = 3  # the last of the kinds of samples: sums over buckets; see `Recipe.ends`

_NS_PER_MS: Final = 1_000_000
_FIRST_MS: Final = 1 << 41  # in 2039; times marked so are varints of six bytes, and nobody's guess
_MARK: Final = 1 << 32  # value of the first role; buckets count 1 each, sums over them stay below
_STAMP_BYTES: Final = remote_write_series.STAMP_BYTES
_STAMP_TAG: Final = 0x10
_WORD: Final = struct.Struct("<Q")
_FLOAT: Final = struct.Struct("<d")


def first_ms(salt: int) -> int:
    """Return the time of the first mark; *salt* is a secret number."""
    return _FIRST_MS + salt % (1 << 40)


def mark(frame: bytes, walked: Walk, units: list[Unit], first_ms: int) -> bytes:
    """Return *frame* with a mark of its own for each number of its *units*, from *first_ms* on."""
    marked = bytearray(frame)
    for index, (start, unit) in enumerate(zip(walked.starts, units, strict=True)):
        _WORD.pack_into(marked, start + unit.time, (first_ms + index) * _NS_PER_MS)
        if unit.start is not None:
            _WORD.pack_into(marked, start + unit.start, first_ms * _NS_PER_MS)
        for role, (place, kind) in enumerate(unit.values):
            mark = _MARK + role
            pack = _FLOAT.pack(mark) if kind == DOUBLE else _WORD.pack(mark)
            marked[start + place : start + place + 8] = pack
        one = _WORD.pack(1)
        for n in range(unit.bucket_count):
            place = start + unit.buckets + 8 * n
            marked[place : place + 8] = one
    return bytes(marked)


@dataclass(slots=True)
class Observed:
    """What the plain conversion made: per unit its series, and how each sample's value is made."""

    # By unit: a TimeSeries, the kind and place of its value, its start's place less its time's.
    series: dict[int, list[tuple[bytes, int, int, int]]]
    families: list[tuple[str, bytes]]
    family: dict[int, str]  # of each unit
    strangers: int  # samples of points that are no units


def observe(
    request: Request, walked: Walk, units: list[Unit], first_ms: int, *, started: bool
) -> Observed | None:
    """Read what the plain conversion made of a marked frame.

    ``None`` if there is a mark whose way cannot be told, or if a series has several samples.
    """
    body = bytes(request.body)
    found = Observed({}, [], {}, 0)
    seen = 0
    fresh: list[int] = []  # units since the last metadata, which follow the series of their family
    sample = remote_write_series.STARTED_SAMPLE if started else remote_write_series.SAMPLE
    behind = remote_write_series.behind_head(started=started)
    for number, _, tag_at, at, end in protobuf.fields(body):
        if number == 3:  # WriteRequest.metadata; MetricMetadata.metric_family_name = 2
            (name,) = [body[a:e] for n, _, _, a, e in protobuf.fields(body, at, end) if n == 2]
            family = name.decode()
            found.families.append((family, body[tag_at:end]))
            found.family |= dict.fromkeys(fresh, family)
            fresh = []
            continue
        seen += 1
        value = end - behind
        stamp = value + remote_write_series.VALUE_BYTES
        if body[value - len(sample) : value] != sample or body[stamp] != _STAMP_TAG:
            found.strangers += 1  # a time that is no varint of six bytes is not one of our marks
            continue
        index = remote_write_series.read_stamp(body[stamp:end]) - first_ms
        if not 0 <= index < len(units):
            found.strangers += 1
            continue
        unit = units[index]
        made = _made(body[value:stamp], unit, walked.starts[index])
        lead = _lead(body[stamp + _STAMP_BYTES : end], unit, first_ms) if started else 0
        if made is None or lead is None:
            return None
        fresh.append(index)
        found.series.setdefault(index, []).append((body[tag_at:end], *made, lead))
    return found if seen == request.samples else None  # else a series has several samples


def _made(value: bytes, unit: Unit, start: int) -> tuple[int, int] | None:
    """Return the kind of a sample and the place of its number in the frame; -1 if constant."""
    if value == remote_write_series.STALE or not any(value):
        return SUMS + 1, -1
    (number,) = _FLOAT.unpack(value)
    role = number - _MARK
    if role in range(len(unit.values)):
        place, kind = unit.values[int(role)]
        return kind, start + place
    if number in range(1, unit.bucket_count + 1):
        return SUMS, start + unit.buckets + 8 * (int(number) - 1)
    return None


def _lead(start: bytes, unit: Unit, first_ms: int) -> int | None:
    """Return the place of a start less that of the time; 0 if the sample has none."""
    milliseconds = remote_write_series.read_stamp(start)
    if not milliseconds:
        return 0
    if unit.start is None or milliseconds != first_ms:
        return None
    return unit.start - unit.time
