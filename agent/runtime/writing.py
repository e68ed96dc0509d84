"""Readings of the node and the cluster, written as one OTLP request.

From opentelemetry/proto/metrics/v1/metrics.proto: ``NumberDataPoint { fixed64
start_time_unix_nano = 2; fixed64 time_unix_nano = 3; double as_double = 4; sfixed64 as_int = 6;
repeated KeyValue attributes = 7; }``, ``Metric { string name = 1; string description = 2; string
unit = 3; Gauge gauge = 5; Sum sum = 7; }``.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, NamedTuple

from common.config import input_names
from common.wire import otlp, otlp_attributes, protobuf

SCOPE: Final = input_names.SCOPES[input_names.RUNTIME]
"""The scope of all that is written here, but for its version."""

_GAUGE = protobuf.tag(5, protobuf.BYTES)
_SUM = protobuf.tag(7, protobuf.BYTES)
_CUMULATIVE, _MONOTONIC = b"\x10\x02", b"\x18\x01"


class Metric(NamedTuple):
    """What is measured; ``updown`` is a cumulative sum that may fall."""

    name: str
    unit: str
    description: str
    kind: Literal["gauge", "sum", "updown"] = "gauge"
    integer: bool = True


class Point(NamedTuple):
    """One value; ``started`` in Unix nanoseconds, 0 for unknown."""

    metric: Metric
    value: float
    attributes: tuple[tuple[str, str], ...] = ()
    started: int = 0


Subject = tuple[Mapping[str, str], Sequence[Point]]
"""Resource attributes, those with empty values not sent, and what is known of that resource."""


def request(
    subjects: Iterable[Subject], *, scope: tuple[str, str], time_ns: int
) -> tuple[otlp.Encoded, int]:
    """Write *subjects* as of *time_ns*; return the request and its number of points.

    *scope* is a name and a version. Points of one metric need not be adjacent. A resource without
    points is left out.
    """
    frames, total = [], 0
    for attributes, found in subjects:
        if not found:
            continue
        resource = b"".join(
            otlp_attributes.attribute(key, value) for key, value in attributes.items() if value
        )
        frames.append(frame(resource, scoped(found, scope=scope, time_ns=time_ns)))
        total += len(found)
    return otlp.Encoded(b"".join(frames)), total


def scoped(points: Iterable[Point], *, scope: tuple[str, str], time_ns: int) -> bytes:
    """Write *points* as ``ResourceMetrics.scope_metrics``, tag and length included."""
    name, version = (part.encode() for part in scope)
    scope_message = protobuf.framed(1, protobuf.framed(1, name) + protobuf.framed(2, version))
    time = b"\x19" + struct.pack("<Q", time_ns)
    groups: dict[Metric, list[bytes]] = {}
    for point in points:
        groups.setdefault(point.metric, []).append(_point(point, time))
    metrics = b"".join([_metric(metric, written) for metric, written in groups.items()])
    return protobuf.framed(2, scope_message + metrics)


def frame(attributes: bytes, scope_metrics: bytes) -> bytes:
    """Write a whole ``resource_metrics`` entry of a request.

    *attributes* are entries of ``Resource.attributes``, tags and lengths included.
    """
    return protobuf.framed(1, protobuf.framed(1, attributes) + scope_metrics)


def _point(point: Point, time: bytes) -> bytes:
    started = b"\x11" + struct.pack("<Q", point.started) if point.started else b""
    if point.metric.integer:
        value = b"\x31" + struct.pack("<q", int(point.value))
    else:
        value = b"\x21" + struct.pack("<d", point.value)
    attributes = _attributes(point.attributes) if point.attributes else b""
    return protobuf.framed(1, b"".join((started, time, value, attributes)))


# What repeats in every report is written once: 2.3 instead of 3.3 us for a point of a kubelet.
@functools.lru_cache(maxsize=1024)
def _attributes(attributes: tuple[tuple[str, str], ...]) -> bytes:
    return b"".join(
        protobuf.framed(
            7,
            protobuf.framed(1, key.encode())
            + protobuf.framed(2, protobuf.framed(1, text.encode())),
        )
        for key, text in attributes
    )


def _metric(metric: Metric, points: Sequence[bytes]) -> bytes:
    data = b"".join(points)
    tag = _GAUGE
    if metric.kind != "gauge":
        tag = _SUM
        data += _CUMULATIVE + (_MONOTONIC if metric.kind == "sum" else b"")
    return protobuf.framed(2, _head(metric) + tag + protobuf.varint(len(data)) + data)


@functools.lru_cache(maxsize=1024)
def _head(metric: Metric) -> bytes:
    return (
        protobuf.framed(1, metric.name.encode())
        + protobuf.framed(2, metric.description.encode())
        + protobuf.framed(3, metric.unit.encode())
    )
