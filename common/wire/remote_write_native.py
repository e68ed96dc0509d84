"""Exponential histograms as the native histograms of Prometheus.

Sources: opentelemetry/proto/metrics/v1/metrics.proto (ExponentialHistogramDataPoint), the
compatibility specification's "Exponential Histograms", and prometheus/prompb ``Histogram``, whose
fields are listed at `histogram`. Both have buckets that grow by 2^2^-scale; OTLP counts them by
their lower bound and Prometheus by their upper one, so an index here is one more than there.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from itertools import pairwise
from typing import Final, TypeAlias

from common.wire import protobuf, remote_write_series, remote_write_shape
from common.wire.remote_write_terms import Drop

MAX_SCALE: Final = 8
MIN_SCALE: Final = -4
MAX_BUCKETS: Final = 1 << 16  # on either side of zero; SDKs keep to 160 unless they are told other
ZERO_THRESHOLD: Final = 1e-128  # where a point has none
MAX_GAP: Final = 2  # empty buckets that are told, for a new span takes more bytes than they do

_MOST_COUNT: Final = (1 << 63) - 1  # of a bucket, whose differences are sint64
_INDICES: Final = range(-(1 << 31), 1 << 31)
_DOUBLE: Final = struct.Struct("<d")

_Bucket: TypeAlias = tuple[int, int]
"""Index by the upper bound, and count."""


def histogram(point: remote_write_shape.ExponentialPoint) -> bytes | Drop:
    """Encode a Histogram but for its `times`, which follow, or say why it cannot be.

    Finer scales than `MAX_SCALE` are merged down to it, which keeps every count; coarser ones than
    `MIN_SCALE` have no native form, nor has a point without a sum. A point without recorded values
    becomes a stale marker: a sum of that kind, and no observations.
    """
    stale = bool(point.flags & remote_write_shape.NO_RECORDED_VALUE)
    if point.scale < MIN_SCALE or not (stale or point.HasField("sum")):
        return Drop.UNSUPPORTED_TYPE
    threshold = point.zero_threshold
    if not 0 <= threshold < math.inf:
        return Drop.INVALID_POINT
    merged = max(0, point.scale - MAX_SCALE)
    negative = [] if stale else _buckets(point.negative, merged)
    positive = [] if stale else _buckets(point.positive, merged)
    if negative is None or positive is None:
        return Drop.INVALID_POINT
    if not (stale or _adds_up(point, negative + positive)):
        return Drop.INVALID_POINT
    # message Histogram { oneof count { uint64 count_int = 1; double count_float = 2; }
    #   double sum = 3; sint32 schema = 4; double zero_threshold = 5;
    #   oneof zero_count { uint64 zero_count_int = 6; double zero_count_float = 7; }
    #   repeated BucketSpan negative_spans = 8; repeated sint64 negative_deltas = 9;
    #   repeated BucketSpan positive_spans = 11; repeated sint64 positive_deltas = 12;
    #   ResetHint reset_hint = 14; int64 timestamp = 15; int64 start_timestamp = 17; }
    # The hint stays unknown, which is 0. Counts are written even if they are 0: a receiver tells
    # from them that these are numbers of observations, not their rates.
    count, zeros = (0, 0) if stale else (point.count, point.zero_count)
    scale = min(point.scale, MAX_SCALE)
    pieces = [
        b"\x08" + protobuf.varint(count),
        b"\x19" + (remote_write_series.STALE if stale else _DOUBLE.pack(point.sum)),
        b"\x20" + protobuf.varint(protobuf.zigzag(scale)) if scale else b"",
        b"\x29" + _DOUBLE.pack(threshold or ZERO_THRESHOLD),
        b"\x30" + protobuf.varint(zeros),
        *_side(8, negative),
        *_side(11, positive),
    ]
    return b"".join(pieces)


def times(milliseconds: int, start_ms: int) -> bytes:
    """Encode the timestamp of a Histogram, and its start_timestamp, of which 0 is none.

    The latter is a field of remote write 2.0.
    """
    start = b"\x88\x01" + protobuf.varint(start_ms) if start_ms else b""
    return b"\x78" + protobuf.varint(milliseconds) + start


def _buckets(of: remote_write_shape.Buckets, merged: int) -> list[_Bucket] | None:
    """Return the buckets that are not empty, halving their number *merged* times.

    ``None`` if there are too many of them, or if an index or a count does not fit.
    """
    counts, first = of.bucket_counts, of.offset
    if len(counts) > MAX_BUCKETS:
        return None
    found: dict[int, int] = {}
    for index, count in enumerate(counts, first):
        if count:
            at = (index >> merged) + 1
            found[at] = found.get(at, 0) + count
    if any(at not in _INDICES or count > _MOST_COUNT for at, count in found.items()):
        return None
    return list(found.items())  # indices only rise


def _adds_up(point: remote_write_shape.ExponentialPoint, buckets: list[_Bucket]) -> bool:
    """Tell whether the buckets hold all observations, as receivers want it.

    A NaN that was observed is in no bucket, and makes the sum NaN.
    """
    held = point.zero_count + sum(count for _, count in buckets)
    return held == point.count or (math.isnan(point.sum) and held < point.count)


def _side(field: int, buckets: list[_Bucket]) -> Iterator[bytes]:
    """Encode the spans and the deltas of the buckets on one side of zero, fields *field* and +1."""
    # message BucketSpan { sint32 offset = 1; uint32 length = 2; }
    if not buckets:
        return
    offset, length, counts = buckets[0][0], 1, [buckets[0][1]]
    for (before, _), (at, count) in pairwise(buckets):
        gap = at - before - 1
        if gap > MAX_GAP:
            yield _span(field, offset, length)
            offset, length = gap, 0
        else:
            counts += [0] * gap
            length += gap
        length += 1
        counts.append(count)
    yield _span(field, offset, length)
    deltas = [counts[0], *[after - before for before, after in pairwise(counts)]]
    yield protobuf.framed(
        field + 1, b"".join([protobuf.varint(protobuf.zigzag(delta)) for delta in deltas])
    )


def _span(field: int, offset: int, length: int) -> bytes:
    start = b"\x08" + protobuf.varint(protobuf.zigzag(offset)) if offset else b""
    return protobuf.framed(field, start + b"\x10" + protobuf.varint(length))
