"""Recognise frames whose shape was validated before, so that only new shapes are parsed.

In OTLP metrics nearly everything that changes from send to send has a fixed width: times and counts
are fixed64, values double or sfixed64, bucket counts packed fixed64. A layout is where those slots
lie in one shape of a ResourceMetrics, and a digest of everything else. A frame whose digest with
its slots blanked is the same differs from the validated one in its slots only, and there any eight
bytes are valid: it needs no parsing. Measured for 1,000 points: 40 µs, against 540 µs for upb.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

import numpy as np
import numpy.typing as npt
import xxhash

from common.wire import memo, otlp, otlp_shape, protobuf

SMALL: Final = 512  # bytes of a frame below which parsing is as cheap
VARIANTS: Final = 2  # layouts per key: senders that shuffle must not pay for many comparisons
LESSONS: Final = 4  # layouts ever learnt per key: a shape that always changes is not worth it
OVERHEAD: Final = 600  # bytes of an entry besides its arrays
HISTOGRAM: Final = 9  # Metric.histogram
BUCKET_COUNTS: Final = 0x32  # tag of HistogramDataPoint.bucket_counts, packed


@final
@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """One shape of a ResourceMetrics: its slots, a digest of the rest, and its data points."""

    slots: npt.NDArray[np.intp]
    digest: bytes
    points: int


@final
@dataclass(slots=True)
class _Known:
    """What is remembered of frames with one length and Resource."""

    layouts: tuple[Layout, ...] = ()
    lessons: int = 0


class Recogniser:
    """Takes requests apart like `otlp.frames`, and remembers their shapes in *max_bytes*.

    *seed* keeps senders from constructing digests that collide; any 64 random bits will do. Shapes
    are learnt when their length and Resource are seen for the second time. ``recognised`` and
    ``parsed`` count frames.
    """

    def __init__(self, max_bytes: int, seed: int) -> None:
        self.memo: memo.Memo[tuple[int, bytes], _Known] = memo.Memo(max_bytes)
        self.recognised = self.parsed = 0
        self._seed = seed

    def frames(self, body: bytes) -> tuple[otlp.Frame, ...]:
        """Return what `otlp.frames` returns, and raise what it raises."""
        found: list[otlp.Frame] = []
        for number, wire_type, _, at, end in protobuf.fields(body):
            if number != 1 or wire_type != protobuf.BYTES:
                continue
            # message ResourceMetrics { Resource resource = 1; ... scope_metrics = 2; ... }
            if end - at < SMALL or body[at] != 0x0A:
                return otlp.frames(body)
            size, start = protobuf.read_varint(body, at + 1)
            behind = start + size
            if behind > end:
                return otlp.frames(body)  # which says what is wrong with it
            points = self._points(body[at:end], body[start:behind])
            if points is None:
                return otlp.frames(body)
            if points:
                frame = otlp.Frame(
                    resource=body[start:behind], rest=body[behind:end], points=points
                )
                found.append(frame)
        return tuple(found)

    def _points(self, frame: bytes, resource: bytes) -> int | None:
        """Return the points of a valid frame, ``None`` if it is not for us."""
        key = (len(frame), resource)
        known = self.memo.get(key)
        if known is not None:
            for layout in known.layouts:
                if _digest(frame, layout.slots, self._seed) == layout.digest:
                    self.recognised += 1
                    return layout.points
        self.parsed += 1
        points = _validated(frame)
        if points is None:
            return None
        if known is None:
            self.memo.put(key, _Known(), OVERHEAD + len(resource))
        elif known.lessons < LESSONS:
            layouts = (learn(frame, points, self._seed), *known.layouts)[:VARIANTS]
            cost = OVERHEAD + len(resource) + sum(layout.slots.nbytes for layout in layouts)
            self.memo.put(key, _Known(layouts, known.lessons + 1), cost)
        return points


def learn(frame: bytes, points: int, seed: int) -> Layout:
    """Make the layout of a validated ResourceMetrics that has *points* data points."""
    slots = np.array(_slots(frame), dtype=np.intp)
    return Layout(slots=slots, digest=_digest(frame, slots, seed), points=points)


def _digest(frame: bytes, slots: npt.NDArray[np.intp], seed: int) -> bytes:
    blanked = np.frombuffer(frame, np.uint8).copy()
    if slots.size:
        # Eight bytes from every offset on, so that one assignment blanks a slot.
        words = np.ndarray((len(frame) - 7,), np.uint64, blanked, strides=(1,))
        words[slots] = 0
    return xxhash.xxh3_128_digest(blanked.data, seed)


def _validated(frame: bytes) -> int | None:
    """Parse a ResourceMetrics in full; return its points, ``None`` if the plain path must look."""
    points = otlp.count(protobuf.framed(1, frame))
    resources = sum([number == 1 for number, *_ in protobuf.fields(frame)])
    return points if resources == 1 else None


def _slots(frame: bytes) -> list[int]:
    """Return the offsets of eight-byte slots, where any bytes are valid.

    Every point begins with its fixed64 fields (start time, time, count, sum or value): serializers
    write in the order of numbers. What follows, attributes above all, is part of the shape.
    """
    found: list[int] = []
    for number, wire_type, _, at, end in protobuf.fields(frame):
        if number != otlp_shape.SCOPE_METRICS or wire_type != protobuf.BYTES:
            continue
        for number, wire_type, _, at, end in protobuf.fields(frame, at, end):  # noqa: B020, PLW2901 - one level down
            if number != otlp_shape.METRICS or wire_type != protobuf.BYTES:
                continue
            for kind, wire_type, _, at, end in protobuf.fields(frame, at, end):  # noqa: B020, PLW2901
                if kind in otlp_shape.KINDS and wire_type == protobuf.BYTES:
                    _points_slots(frame, at, end, kind, found)
    return found


def _points_slots(frame: bytes, at: int, end: int, kind: int, found: list[int]) -> None:
    for number, wire_type, _, value_at, behind in protobuf.fields(frame, at, end):
        if number != otlp_shape.DATA_POINTS or wire_type != protobuf.BYTES:
            continue
        at = value_at
        while at + 9 <= behind and frame[at] & 0x87 == protobuf.FIXED64:  # a tag of one byte
            found.append(at + 1)
            at += 9
        if kind == HISTOGRAM and at < behind and frame[at] == BUCKET_COUNTS:
            size, at = protobuf.read_varint(frame, at + 1)
            if size % 8 == 0:
                found.extend(range(at, at + size, 8))
