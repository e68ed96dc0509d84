"""OTLP data points of native histograms: nothing in them lies in a known place but their times.

From opentelemetry/proto/metrics/v1/metrics.proto, fields in the order written here:

    ExponentialHistogramDataPoint { fixed64 start_time_unix_nano = 2; fixed64 time_unix_nano = 3;
        fixed64 count = 4; optional double sum = 5; sint32 scale = 6; fixed64 zero_count = 7;
        Buckets positive = 8; Buckets negative = 9; double zero_threshold = 14;
        repeated KeyValue attributes = 1; repeated Exemplar exemplars = 11; }
    Buckets { sint32 offset = 1; repeated uint64 bucket_counts = 2; }

A histogram with bounds of its own makes a HistogramDataPoint, as `points.histogram` has it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final

from agent.exposition import model, native, points, translate
from common.wire import protobuf

_NO_SAMPLE: Final = 0  # numbers of samples mean nothing where there is but one


def write(
    encoded: bytes,
    histogram: model.Native,
    *,
    time_ns: int,
    start_ns: int = 0,
    exemplars: Iterable[model.Exemplar] = (),
) -> bytes | native.Unsent:
    """Write the point of *histogram* with these encoded attributes, or tell why there is none.

    The attributes are encoded for the kind of the metric: `translate.Kind.HISTOGRAM` for schema
    -53, `translate.Kind.EXPONENTIAL` for the others. There is no start time if *start_ns* is 0.
    """
    told = native.exponential(histogram)
    if isinstance(told, native.Unsent):
        return told
    begin = b"\x11" + struct.pack("<Q", start_ns) if start_ns else b""
    if isinstance(told, native.Exponential):
        kind = translate.Kind.EXPONENTIAL
        payload = begin + _exponential(told, time_ns) + encoded
    else:
        kind = translate.Kind.HISTOGRAM
        payload = begin + _explicit(told, encoded, time_ns)
    examples = [protobuf.framed(points.EXEMPLARS[kind], points.exemplar(e)) for e in exemplars]
    return b"".join((payload, *examples))


def _exponential(told: native.Exponential, time_ns: int) -> bytes:
    return b"".join(
        (
            struct.pack("<cQcQcd", b"\x19", time_ns, b"\x21", told.count, b"\x29", told.sum),
            b"\x30" + protobuf.varint(protobuf.zigzag(told.scale)),
            b"\x39" + struct.pack("<Q", told.zero_count),
            _buckets(8, told.positive_offset, told.positive),
            _buckets(9, told.negative_offset, told.negative),
            b"\x71" + struct.pack("<d", told.zero_threshold),
        )
    )


def _buckets(field: int, offset: int, counts: tuple[int, ...]) -> bytes:
    if not counts:
        return b""
    packed = b"".join(map(protobuf.varint, counts))
    at = b"\x08" + protobuf.varint(protobuf.zigzag(offset))
    return protobuf.framed(field, at + protobuf.framed(2, packed))


def _explicit(told: native.Explicit, encoded: bytes, time_ns: int) -> bytes:
    bounds = tuple((bound, _NO_SAMPLE) for bound in told.bounds)
    shape = translate.Distribution((), _NO_SAMPLE, _NO_SAMPLE, bounds)
    payload, steps = points.histogram(shape, encoded)
    out = bytearray(payload)
    struct.pack_into("<Q", out, points.TIME_AT, time_ns)
    struct.pack_into("<Q", out, points.COUNT_AT, told.count)
    struct.pack_into("<d", out, points.SUM_AT, told.sum)
    struct.pack_into(f"<{len(steps)}Q", out, steps[0], *told.counts)
    return bytes(out)
