"""The data points of a ResourceMetrics by place: its units, and what of it is none.

Source: opentelemetry/proto/metrics/v1/metrics.proto. See `remote_write_places` for what a unit is.
Points written otherwise, or with exemplars or buckets that are new, are left to the plain path.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from typing import Final, TypeAlias, final

import xxhash

from common.wire import protobuf, remote_write_places
from common.wire.remote_write_places import (
    AS_DOUBLE,
    AS_INT,
    GAUGE,
    HISTOGRAM,
    START,
    SUM,
    SUMMARY,
    TIME,
    Unit,
)  # fmt: skip

SCOPE_METRICS: Final = 2  # of ResourceMetrics
SCOPE, METRICS = 1, 2  # of ScopeMetrics
DATA: Final = frozenset({GAUGE, SUM, HISTOGRAM, 10, SUMMARY})  # of Metric
DATA_POINTS: Final = 1  # of Gauge, Sum, Histogram, Summary

_POINT: Final = 0x0A  # the tag of data_points
_LEAST_ROW: Final = 40  # bytes of a metric's points; so many have two headers, times and a value

Place: TypeAlias = tuple[int, int, int, bytes]
"""A point: where its tag is, where it starts and ends, and its key; empty if it is no unit."""


@dataclass(slots=True, eq=False)
class Spot:
    """A metric in its frame, with its points."""

    start: int
    data_tag: int
    data: int
    data_end: int
    end: int
    scope: bytes
    kind: int
    seed: int = 0  # of its points' keys
    keys: list[bytes] = field(default_factory=list)  # of its units
    row: Row | None = None  # its points, if they are one
    points: list[Place] = field(default_factory=list)  # if they are not

    def places(self) -> list[Place]:
        """Return its points."""
        row = self.row
        if row is None:
            return self.points
        size = row.stride - row.head
        return [
            (at - row.head, at, at + size, key)
            for at, key in zip(row.starts, self.keys, strict=True)
        ]

    def starts(self) -> Iterable[int]:
        """Return where its units start."""
        if self.row is not None:
            return self.row.starts
        return [start for _, start, _, key in self.points if key]


@dataclass(slots=True, eq=False)
class Walk:
    """The metrics of a frame, and its units in order: where each starts, and its key."""

    resource: bytes  # the field, tag and length included; empty if there is none
    spots: list[Spot] = field(default_factory=list)
    others: int = 0  # points and metrics that are no units
    starts: list[int] = field(default_factory=list)
    keys: list[bytes] = field(default_factory=list)


def walk(frame: bytes, seed: int) -> Walk | None:
    """List the units of *frame*, a valid ResourceMetrics; ``None`` if its own fields lie oddly.

    *seed* keeps senders from making two series of one key. A metric of an exponential histogram, or
    with data given twice, is a spot without units.
    """
    found: Walk | None = None
    for number, wire_type, tag_at, at, end in protobuf.fields(frame):
        if found is None:
            if number == 1 and wire_type == protobuf.BYTES:
                found = Walk(frame[tag_at:end])
                continue
            found = Walk(b"")
        if number != SCOPE_METRICS or wire_type != protobuf.BYTES:
            if number == 1:
                return None  # a Resource in several parts, or behind its metrics
            continue  # the schema's URL, or what we do not know: nothing to us
        if not _scope(frame, at, end, seed, found):
            return None
    if found is not None:
        for spot in found.spots:
            found.starts += spot.starts()
            found.keys += spot.keys
    return found


def _scope(frame: bytes, start: int, stop: int, seed: int, found: Walk) -> bool:
    scope = b""
    for number, wire_type, tag_at, at, end in protobuf.fields(frame, start, stop):
        if wire_type != protobuf.BYTES:
            continue
        if number == METRICS:
            _metric(frame, (at, end), scope, seed, found)
        elif number == SCOPE:
            if scope or tag_at != start:
                return False
            scope = frame[tag_at:end]
    return True


def _metric(frame: bytes, span: tuple[int, int], scope: bytes, seed: int, found: Walk) -> None:
    start, stop = span
    data = [each for each in protobuf.fields(frame, start, stop) if each[0] in DATA]
    if len(data) != 1 or data[0][1] != protobuf.BYTES:
        if data:
            found.others += 1
            found.spots.append(Spot(start, stop, stop, stop, stop, scope, 0))
        return
    kind, _, tag_at, at, end = data[0]
    spot = Spot(start, tag_at, at, end, stop, scope, kind)
    found.spots.append(spot)
    # Everything the points have in common: name, unit, description, metadata, temporality, scope.
    said = [scope, b"\0", frame[start:tag_at], bytes((kind,)), frame[end:stop], b"\0"]
    row = _row(frame, at, end) if kind in {GAUGE, SUM} else None
    if row is not None:
        spot.row = row
        said.append(frame[row.end : end])
        spot.seed = xxhash.xxh3_64_intdigest(b"".join(said), seed)
        spot.keys = row.keys(frame, spot.seed)
        return
    points = protobuf.fields(frame, at, end)
    said += [frame[each[2] : each[4]] for each in points if each[0] != DATA_POINTS]
    spot.seed = metric_seed = xxhash.xxh3_64_intdigest(b"".join(said), seed)
    key_of = remote_write_places.KEYS.get(kind)
    if key_of is None:
        found.others += 1
        return
    place = spot.points.append
    for number, wire_type, point_tag, point_at, point_end in points:
        if number == DATA_POINTS and wire_type == protobuf.BYTES:
            key = key_of(frame, point_at, point_end, metric_seed)
            place((point_tag, point_at, point_end, key))
            if not key:
                found.others += 1
    spot.keys = [key for *_, key in spot.points if key]


@final
@dataclass(frozen=True, slots=True)
class Row:
    """Number points of one length, one behind the other: most metrics are nothing else.

    They need no walk, which halves the time: what has to be the same in all of them is compared
    with slices that take a byte of each.
    """

    at: int  # of the first point's tag
    end: int
    head: int  # bytes of tag and length
    stride: int  # from one tag to the next
    tail: int  # from a tag to what follows the value
    shape: int  # which times and which kind of value, for the seed of keys

    @property
    def starts(self) -> range:
        """Where each point starts, behind its tag and length."""
        return range(self.at + self.head, self.end, self.stride)

    def keys(self, frame: bytes, seed: int) -> list[bytes]:
        """Return the key of each point, as `remote_write_places.number_key` does."""
        size, own = self.stride - self.tail, seed ^ self.shape
        hashed = xxhash.xxh3_64_digest  # bytes join into an array, five times as fast as numbers
        # The last tail may be empty, where the points end.
        tails = range(self.at + self.tail, self.end + 1, self.stride)
        return [hashed(frame[at : at + size], own) for at in tails]


def _row(frame: bytes, at: int, end: int) -> Row | None:
    """Return the points of a Gauge or Sum if they are a `Row`, and behind them are no others."""
    if end - at < _LEAST_ROW or frame[at] != _POINT:
        return None
    size, head = frame[at + 1], 2
    if size > 127:
        if frame[at + 2] > 127:
            return None
        size, head = (size & 127) | frame[at + 2] << 7, 3
    stride = head + size
    time = head + 9 if frame[at + head] == START else head
    count = (end - at) // stride
    stop = at + count * stride
    value = time + 9
    tail = value + 9
    if tail > stride or frame[at + value] not in {AS_DOUBLE, AS_INT}:
        return None
    for place in (*range(head), head, time, value):
        if frame[at + place : stop : stride] != frame[at + place : at + place + 1] * count:
            return None
    behind = [number for number, *_ in protobuf.fields(frame, stop, end)]
    if frame[at + time] != TIME or DATA_POINTS in behind:
        return None
    shape = frame[at + value] ^ (0x80 if time > head else 0)
    return Row(at, stop, head, stride, tail, shape)


def units(frame: bytes, walked: Walk) -> list[Unit]:
    """Return the units of *walked*, by their places."""
    found: list[Unit] = []
    for spot in walked.spots:
        for _, at, end, key in spot.places():
            if not key:
                continue
            if spot.kind in {GAUGE, SUM}:
                found.append(remote_write_places.number(frame, at, key))
                continue
            unit = remote_write_places.composite(frame, (at, end), spot.kind, spot.seed)
            if unit is None:
                raise RuntimeError(f"BUG: the unit at byte {at} is none any more")
            found.append(unit)
    return found


def rest(frame: bytes, walked: Walk, taken: Container[int]) -> bytes:
    """Return a ResourceMetrics of all that is in *frame* but for the units *taken*, by number."""
    scopes: list[bytes] = [walked.resource]
    number = 0
    for spot in walked.spots:
        left: list[Place] = []
        points = spot.places()
        for place in points:
            if not place[3] or number not in taken:
                left.append(place)
            number += bool(place[3])
        if points and not left:
            continue
        metric = frame[spot.start : spot.end]
        if len(left) < len(points):
            others = [
                frame[each[2] : each[4]]
                for each in protobuf.fields(frame, spot.data, spot.data_end)
                if each[0] != DATA_POINTS
            ]
            inner = b"".join([*others, *[frame[tag:end] for tag, _, end, _ in left]])
            data = protobuf.framed(spot.kind, inner)
            metric = b"".join(
                (frame[spot.start : spot.data_tag], data, frame[spot.data_end : spot.end])
            )
        inside = spot.scope + protobuf.framed(METRICS, metric)
        scopes.append(protobuf.framed(SCOPE_METRICS, inside))
    return b"".join(scopes)
