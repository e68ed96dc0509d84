"""Where the eight-byte slots of encoded metrics lie: the values that change from send to send.

Source: opentelemetry/proto/metrics/v1/metrics.proto. A slot is eight bytes that may be any bytes
without the message around becoming invalid, or meaning another time series: fixed64, sfixed64 and
double fields of points and of their exemplars and quantile values, packed bucket counts, and the
identifiers of traces and spans. What makes a series another one is none: attributes, bounds of
buckets, quantiles, flags. Nor is whatever has no fixed width.
"""

from __future__ import annotations

import re
from typing import Final

from common.wire import otlp_shape, protobuf

GAUGE, SUM, HISTOGRAM, EXPONENTIAL_HISTOGRAM, SUMMARY = sorted(otlp_shape.KINDS)

# Fixed64 fields with tags of one byte, one after the other, as most points begin. Those of numbers
# above 6 have their turn in `_rest`, where the kind of the point decides.
_RUN: Final = re.compile(rb"(?s:[\x09\x11\x19\x21\x29\x31].{8})*")
_ATTRIBUTES: Final = {GAUGE: 7, SUM: 7, HISTOGRAM: 9, EXPONENTIAL_HISTOGRAM: 1, SUMMARY: 7}
_EXEMPLARS: Final = {GAUGE: 5, SUM: 5, HISTOGRAM: 8, EXPONENTIAL_HISTOGRAM: 11}
_BUCKET_COUNTS, _EXPLICIT_BOUNDS = 6, 7  # of a HistogramDataPoint; may come unpacked as well
_QUANTILE_VALUES: Final = 6  # of a SummaryDataPoint
_IDS: Final = (4, 5)  # Exemplar.span_id, Exemplar.trace_id: bytes


def of_metrics(body: bytes, start: int = 0, end: int | None = None) -> list[int]:
    """Return the offsets in *body* of the slots of the ResourceMetrics in ``body[start:end]``.

    Where the message is not valid, the offsets mean nothing; may raise `errors.Malformed`.
    """
    found: list[int] = []
    for number, wire_type, _, at, behind in protobuf.fields(body, start, end):
        if number != otlp_shape.SCOPE_METRICS or wire_type != protobuf.BYTES:
            continue
        for number, wire_type, _, at, behind in protobuf.fields(body, at, behind):  # noqa: B020, PLW2901 - one level down
            if number == otlp_shape.METRICS and wire_type == protobuf.BYTES:
                _metric(body, at, behind, found)
    return found


def of_metric(body: bytes, start: int = 0, end: int | None = None) -> list[int]:
    """Return the offsets in *body* of the slots of the Metric in ``body[start:end]``.

    Where the message is not valid, the offsets mean nothing; may raise `errors.Malformed`.
    """
    found: list[int] = []
    _metric(body, start, len(body) if end is None else end, found)
    return found


def _metric(body: bytes, start: int, end: int, found: list[int]) -> None:
    for kind, wire_type, _, at, behind in protobuf.fields(body, start, end):
        if kind in otlp_shape.KINDS and wire_type == protobuf.BYTES:
            for number, wire_type, _, at, behind in protobuf.fields(body, at, behind):  # noqa: B020, PLW2901 - one level down
                if number == otlp_shape.DATA_POINTS and wire_type == protobuf.BYTES:
                    _point(body, at, behind, kind, found)


def _point(body: bytes, at: int, end: int, kind: int, found: list[int]) -> None:
    run = _RUN.match(body, at, end)
    if run is not None:
        behind = run.end()
        found += range(at + 1, behind, 9)
        at = behind
    # Attributes are most of what is left, and nothing in them is a slot: 0.1 µs each this way.
    attributes = _ATTRIBUTES[kind] << 3 | protobuf.BYTES
    while at + 1 < end and body[at] == attributes and body[at + 1] < 128:
        at += 2 + body[at + 1]
    if at < end:
        _rest(body, at, end, kind, found)


def _rest(body: bytes, at: int, end: int, kind: int, found: list[int]) -> None:
    """Look at what is behind the beginning of a point, field by field."""
    for number, wire_type, _, value_at, behind in protobuf.fields(body, at, end):
        if wire_type == protobuf.FIXED64:
            if kind != HISTOGRAM or number != _EXPLICIT_BOUNDS:
                found.append(value_at)
        elif wire_type != protobuf.BYTES:
            continue
        elif kind == HISTOGRAM and number == _BUCKET_COUNTS:
            if (behind - value_at) % 8 == 0:
                found += range(value_at, behind, 8)
        elif number == _EXEMPLARS.get(kind):
            _exemplar(body, value_at, behind, found)
        elif kind == SUMMARY and number == _QUANTILE_VALUES:
            # ValueAtQuantile { double quantile = 1; double value = 2; }
            found += [
                slot
                for inner, of, _, slot, _ in protobuf.fields(body, value_at, behind)
                if (inner, of) == (2, protobuf.FIXED64)
            ]


def _exemplar(body: bytes, at: int, end: int, found: list[int]) -> None:
    # Exemplar { filtered_attributes = 7; fixed64 time_unix_nano = 2; double as_double = 3;
    #   sfixed64 as_int = 6; bytes span_id = 4; bytes trace_id = 5; }
    for number, wire_type, _, value_at, behind in protobuf.fields(body, at, end):
        if wire_type == protobuf.FIXED64:
            found.append(value_at)
        elif wire_type == protobuf.BYTES and number in _IDS and (behind - value_at) % 8 == 0:
            found += range(value_at, behind, 8)
