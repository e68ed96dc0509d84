"""A data point by its places: where its numbers are, and what it says besides them.

Source: opentelemetry/proto/metrics/v1/metrics.proto. Serializers write the fields of a point in the
order of their numbers, so its times, counts and values lie in front, eight bytes each, and what
tells its series (attributes, bounds, flags) follows. A point written so is a *unit*: it is known by
a key, a hash of everything but those numbers, and two units of one key differ in numbers only.

A histogram with exemplars is no unit: only some of its series could be told. A number with
exemplars is one, its only series is none that a recipe could fill, and so it is never known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, TypeAlias, final

import xxhash

from common.wire import protobuf

GAUGE, SUM, HISTOGRAM, SUMMARY = 5, 7, 9, 11  # of Metric

# Tags of a point's fields of eight bytes: start and time, and for a number its value ...
START, TIME, AS_DOUBLE, AS_INT = 0x11, 0x19, 0x21, 0x31
# ... for a histogram or a summary the count and the sum, and what follows them.
COUNT, TOTAL, PACKED = 0x21, 0x29, 0x32
MIN, MAX = 0x59, 0x61  # of a histogram; the only ones behind the attributes
EXEMPLARS = 8  # the number of a histogram's
QUANTILE, QUANTILE_VALUE = 0x09, 0x11  # inside of a ValueAtQuantile


DOUBLE, INT, UNSIGNED = range(3)
Role: TypeAlias = tuple[int, int]
"""Offset of eight bytes in the point, and how they are read: DOUBLE, INT or UNSIGNED."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A point by its places, all relative to its first byte."""

    time: int
    start: int | None
    """Where the start time is, if there is one."""
    values: tuple[Role, ...]
    """Value, or count, sum and the values of quantiles."""
    buckets: int = 0
    """Where the bucket counts lie, eight bytes each."""
    bucket_count: int = 0
    idle: tuple[int, ...] = ()
    """Eight bytes that may be anything and go nowhere: minimum and maximum."""
    key: bytes
    """What the point says apart from all these, hashed with 64 bits."""


def number_key(frame: bytes, at: int, end: int, seed: int) -> bytes:
    """Return the key of a NumberDataPoint written as usual, else nothing."""
    # Most points begin with both times. 18 and 27 bytes: tags and slots up to the tail.
    try:
        if frame[at] == START and frame[at + 9] == TIME:
            tail, value, shape = at + 27, frame[at + 18], 0x80
        elif frame[at] == TIME:
            tail, value, shape = at + 18, frame[at + 9], 0
        else:
            return b""
    except IndexError:  # a point without a value at the very end of the frame
        return b""
    if tail > end or (value != AS_DOUBLE and value != AS_INT):  # noqa: PLR1714 - a set is slower
        return b""
    return xxhash.xxh3_64_digest(frame[tail:end], seed ^ value ^ shape)


def _histogram_key(frame: bytes, at: int, end: int, seed: int) -> bytes:
    unit = composite(frame, (at, end), HISTOGRAM, seed)
    return b"" if unit is None else unit.key


def _summary_key(frame: bytes, at: int, end: int, seed: int) -> bytes:
    unit = composite(frame, (at, end), SUMMARY, seed)
    return b"" if unit is None else unit.key


KEYS: Final = {  # by kind of metric; each gives nothing for a point that is no unit
    GAUGE: number_key, SUM: number_key, HISTOGRAM: _histogram_key, SUMMARY: _summary_key,
}  # fmt: skip


def number(frame: bytes, at: int, key: bytes) -> Unit:
    """Return the unit of a NumberDataPoint that has a *key*."""
    both = frame[at] == START
    time, start = (10, 1) if both else (1, None)
    kind = DOUBLE if frame[at + time + 8] == AS_DOUBLE else INT
    return Unit(time=time, start=start, values=((time + 9, kind),), key=key)


def composite(frame: bytes, span: tuple[int, int], kind: int, seed: int) -> Unit | None:
    """Return the unit of a HistogramDataPoint or SummaryDataPoint, ``None`` if written unusually.

    The fields must come in the order of their numbers, and only messages may repeat.
    """
    at, end = span
    last = 0
    said: list[bytes] = []
    places: dict[_What, list[int]] = {what: [] for what in _What}
    values: list[Role] = []
    for each in protobuf.fields(frame, at, end):
        number, wire_type, tag_at, _, behind = each
        if number < last or (number == last and wire_type != protobuf.BYTES):
            return None
        slots = _slots(frame, each, kind)
        if slots is None or (slots[1] is _What.BUCKET and number == last):
            return None
        last = number
        found, what = slots
        # Slots are the end of a field. What is in front of them tells its length, so no two points
        # of different fields say the same.
        said.append(frame[tag_at : found[0] if found else behind])
        places[what] += [slot - at for slot in found]
        if what in _READ:
            values += [(slot - at, _READ[what]) for slot in found]
    times, buckets = places[_What.TIME], places[_What.BUCKET]
    starts = places[_What.START]
    if not times:
        return None
    return Unit(
        time=times[0],
        start=starts[0] if starts else None,
        values=tuple(values),
        buckets=buckets[0] if buckets else 0,
        bucket_count=len(buckets),
        idle=tuple(places[_What.IDLE]),
        key=xxhash.xxh3_64_digest(b"".join(said), seed),
    )


class _What(Enum):
    """What eight bytes of a point are to us."""

    START = auto()
    TIME = auto()
    IDLE = auto()
    COUNT = auto()
    DOUBLE = auto()
    BUCKET = auto()


_READ: Final = {_What.COUNT: UNSIGNED, _What.DOUBLE: DOUBLE}
_FIXED: Final = {
    START: _What.START, TIME: _What.TIME, COUNT: _What.COUNT, TOTAL: _What.DOUBLE,
    MIN: _What.IDLE, MAX: _What.IDLE,
}  # fmt: skip


def _slots(frame: bytes, field: protobuf.Field, kind: int) -> tuple[Sequence[int], _What] | None:
    """Return where the eight bytes of a field lie, none if it has none; ``None`` if it is odd."""
    number, wire_type, tag_at, at, behind = field
    if number == EXEMPLARS and kind == HISTOGRAM:
        return None
    tag = frame[tag_at] if at - tag_at == 1 or wire_type == protobuf.BYTES else 0
    if tag in _FIXED and (kind == HISTOGRAM or number < SUMMARY):
        return (at,), _FIXED[tag]
    if tag == PACKED and kind == HISTOGRAM:
        whole = (behind - at) % 8 == 0
        return (range(at, behind, 8), _What.BUCKET) if whole else None
    if tag == PACKED:
        return _quantile(frame, at, behind)
    return (), _What.IDLE


def _quantile(frame: bytes, at: int, end: int) -> tuple[Sequence[int], _What] | None:
    # message ValueAtQuantile { double quantile = 1; double value = 2; }
    tags = [frame[tag_at] for _, _, tag_at, _, _ in protobuf.fields(frame, at, end)]
    value = end - 8
    if (tags, end - at) in (([QUANTILE, QUANTILE_VALUE], 18), ([QUANTILE_VALUE], 9)):
        return (value,), _What.DOUBLE
    return ((), _What.IDLE) if tags in ([QUANTILE], []) else None
