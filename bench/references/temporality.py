"""Temporality the obvious way: everything is decoded, series are tuples in a dict without bounds.

Of the real thing it shares the bounds of exponential buckets, which are doubles, and nothing else.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.metrics.v1 import metrics_pb2

from common.wire.temporality_exponential import MAX_BUCKETS, bound

Request = metrics_service_pb2.ExportMetricsServiceRequest
DELTA, CUMULATIVE = 1, 2
INT_MAX, COUNT_MAX = 2**63 - 1, 2**64 - 1


@dataclass
class Known:
    """Where a series is."""

    start: int
    last: int
    point: Any


@dataclass
class Reference:
    """Accumulates, or with *began* in nanoseconds takes differences."""

    began: int | None = None
    series: dict[object, Known] = field(default_factory=dict)
    dropped: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.horizon = self.began or 0

    def convert(self, body: bytes, now: float) -> bytes:  # noqa: C901 - three levels, twice
        """Return the request in the other temporality, as upb writes it."""
        request = Request.FromString(body)
        turned = {}
        for f, frame in enumerate(request.resource_metrics):
            for s, scope in enumerate(frame.scope_metrics):
                for m, metric in enumerate(scope.metrics):
                    turned[f, s, m] = self.affects(metric)
                    if turned[f, s, m]:
                        self.turn(metric, self.identity(frame, scope, metric), int(now * 1e9))
        for f, frame in backwards(request.resource_metrics):
            for s, scope in backwards(frame.scope_metrics):
                for m, metric in backwards(scope.metrics):
                    if turned[f, s, m] and not points_of(metric):
                        del scope.metrics[m]
                if not scope.metrics and any(t for at, t in turned.items() if at[:2] == (f, s)):
                    del frame.scope_metrics[s]
            if not frame.scope_metrics and any(t for at, t in turned.items() if at[0] == f):
                del request.resource_metrics[f]
        return request.SerializeToString()

    def affects(self, metric: metrics_pb2.Metric) -> bool:
        kind = metric.WhichOneof("data")
        if kind not in {"sum", "histogram", "exponential_histogram"}:
            return False
        temporality = getattr(metric, kind).aggregation_temporality
        if self.began is None:
            return temporality == DELTA
        return temporality == CUMULATIVE and (kind != "sum" or metric.sum.is_monotonic)

    def identity(self, frame: Any, scope: Any, metric: Any) -> tuple[object, ...]:
        kind = metric.WhichOneof("data")
        return (
            attributes(frame.resource.attributes),
            (scope.scope.name, scope.scope.version, attributes(scope.scope.attributes)),
            (metric.name, metric.unit, kind, kind == "sum" and metric.sum.is_monotonic),
        )

    def turn(self, metric: metrics_pb2.Metric, identity: tuple[object, ...], now: int) -> None:
        content = getattr(metric, metric.WhichOneof("data"))
        monotonic = metric.WhichOneof("data") == "sum" and metric.sum.is_monotonic
        kept = []
        for point in content.data_points:
            key = (*identity, attributes(point.attributes))
            if point.flags & 1:
                known = self.series.get(key)
                if known is not None and (point.time_unix_nano or now) <= known.last:
                    self.dropped["out_of_order"] += 1
                    continue
                if known is not None:
                    self.horizon = max(self.horizon, self.series.pop(key).last)
                kept.append(point)
                continue
            if not is_valid(point, monotonic=monotonic):
                self.dropped["invalid_point"] += 1
                continue
            point.time_unix_nano = point.time_unix_nano or now
            known = self.series.get(key)
            if known is not None and point.time_unix_nano <= known.last:
                self.dropped["out_of_order"] += 1
                continue
            turned = self.accumulated(key, point) if self.began is None else self.delta(key, point)
            if turned is None:
                self.dropped["baseline"] += 1
                continue
            if hasattr(turned, "count"):
                turned.ClearField("min")
                turned.ClearField("max")
            kept.append(turned)
        copies = [copied(point) for point in kept]
        del content.data_points[:]
        content.data_points.extend(copies)
        content.aggregation_temporality = CUMULATIVE if self.began is None else DELTA

    def accumulated(self, key: object, point: Any) -> Any:
        known = self.series.get(key)
        turned = copied(point)
        if known is not None and combine(turned, known.point, 1):
            turned.start_time_unix_nano = known.start
        else:
            turned = copied(point)
            if not 0 < point.start_time_unix_nano <= point.time_unix_nano:
                turned.start_time_unix_nano = point.time_unix_nano
        self.series[key] = Known(turned.start_time_unix_nano, point.time_unix_nano, copied(turned))
        return turned

    def delta(self, key: object, point: Any) -> Any:
        known = self.series.get(key)
        start, time = point.start_time_unix_nano, point.time_unix_nano
        if start > time:
            start = 0
        self.series[key] = Known(start, time, copied(point))
        turned = copied(point)
        if known is None:
            turned.start_time_unix_nano = start
            return turned if start > self.horizon else None
        if not (known.start and start > known.start):
            if bounds(point) != bounds(known.point):
                return None
            if combine(turned, known.point, -1):
                turned.start_time_unix_nano = known.last
                return turned
        turned = copied(point)
        turned.start_time_unix_nano = max(start, known.last)
        return turned


def backwards(repeated: Any) -> list[tuple[int, Any]]:
    """Number the items from the last to the first, so that each may be deleted."""
    return list(enumerate(repeated))[::-1]


def points_of(metric: metrics_pb2.Metric) -> Any:
    return getattr(metric, metric.WhichOneof("data")).data_points


def copied(point: Any) -> Any:
    return type(point).FromString(point.SerializeToString())


def attributes(given: Iterable[Any]) -> tuple[bytes, ...]:
    return tuple(sorted(one.SerializeToString(deterministic=True) for one in given))


def bounds(point: Any) -> object:
    if not hasattr(point, "explicit_bounds"):
        return None
    texts = [math.copysign(1, b) if b == 0 else b for b in point.explicit_bounds]
    return str(list(point.explicit_bounds)), str(texts), len(point.bucket_counts)


def is_valid(point: Any, *, monotonic: bool) -> bool:
    if hasattr(point, "as_int"):
        kind = point.WhichOneof("value")
        value = getattr(point, kind) if kind else math.nan
        return math.isfinite(value) and not (monotonic and value < 0)
    if hasattr(point, "explicit_bounds"):
        counts, limits = len(point.bucket_counts), len(point.explicit_bounds)
        return counts == limits + 1 or counts == limits == 0
    ends = [0]
    for side in (point.positive, point.negative):
        filled = [n for n, count in enumerate(side.bucket_counts, side.offset) if count]
        ends.append(max(filled, default=-1) + 1)
    return (
        0 <= point.zero_threshold < math.inf
        and abs(point.scale) <= 2**20
        and max(ends) <= INT_MAX >> 32
    )


def combine(point: Any, other: Any, sign: int) -> bool:
    """Add *other* to *point*, or take it away; tell whether that makes sense."""
    if hasattr(point, "as_int"):
        return combine_numbers(point, other, sign)
    if point.HasField("sum") and other.HasField("sum"):
        point.sum = other.sum + point.sum if sign > 0 else point.sum - other.sum
    else:
        point.ClearField("sum")
    if hasattr(point, "explicit_bounds"):
        if bounds(point) != bounds(other):
            return False
        counts = [
            a + sign * b for a, b in zip(point.bucket_counts, other.bucket_counts, strict=True)
        ]
        count = point.count + sign * other.count
        if not all(0 <= n <= COUNT_MAX for n in (count, *counts)):
            return False
        point.count, point.bucket_counts[:] = count, counts
        return True
    return combine_exponentials(point, other, sign)


def combine_numbers(point: Any, other: Any, sign: int) -> bool:
    a, b = (getattr(p, p.WhichOneof("value")) for p in (point, other))
    if sign < 0 and a < b:
        return False
    value = a + sign * b
    if isinstance(value, int):
        if -(2**63) <= value <= INT_MAX:
            point.as_int = value
        else:
            point.as_double = float(value)
        return True
    point.as_double = value
    return math.isfinite(value)


class Plain:
    """An exponential histogram as counts by index, on either side."""

    def __init__(self, point: Any) -> None:
        self.scale, self.zeros = point.scale, point.zero_count
        self.threshold = point.zero_threshold + 0.0  # no negative zero
        self.sides = [
            {n: count for n, count in enumerate(side.bucket_counts, side.offset) if count}
            for side in (point.positive, point.negative)
        ]

    def halve(self) -> None:
        self.scale -= 1
        for n, side in enumerate(self.sides):
            self.sides[n] = Counter()
            for index, count in side.items():
                self.sides[n][index // 2] += count

    def widen(self, threshold: float) -> None:
        reached = threshold
        if self.threshold >= threshold:
            return
        for side in self.sides:
            for index in [i for i in side if bound(i, self.scale) < threshold]:
                reached = max(reached, bound(index + 1, self.scale))
                self.zeros += side.pop(index)
        self.threshold = reached


def combine_exponentials(point: Any, other: Any, sign: int) -> bool:
    one, two = Plain(point), Plain(other)
    while one.scale > two.scale:
        one.halve()
    while two.scale > one.scale:
        two.halve()
    while one.threshold != two.threshold:
        threshold = max(one.threshold, two.threshold)
        one.widen(threshold)
        two.widen(threshold)
    if sign > 0:
        while any(
            max(both) - min(both) >= MAX_BUCKETS
            for both in ({*a, *b} for a, b in zip(one.sides, two.sides, strict=True))
            if both
        ):
            one.halve()
            two.halve()
    sides = []
    for a, b in zip(one.sides, two.sides, strict=True):
        sides.append({i: a.get(i, 0) + sign * b.get(i, 0) for i in {*a, *b}})
    zeros, count = one.zeros + sign * two.zeros, point.count + sign * other.count
    every = [zeros, count, *sides[0].values(), *sides[1].values()]
    if not all(0 <= n <= COUNT_MAX for n in every):
        return False
    point.scale, point.zero_threshold = one.scale, one.threshold
    point.zero_count, point.count = zeros, count
    for side, filled in zip((point.positive, point.negative), sides, strict=True):
        fill(side, {i: n for i, n in filled.items() if n})
    return True


def fill(side: Any, counts: dict[int, int]) -> None:
    if not counts and not side.bucket_counts:
        return
    side.offset = min(counts, default=0)
    width = max(counts) - side.offset + 1 if counts else 0
    side.bucket_counts[:] = [counts.get(i + side.offset, 0) for i in range(width)]


def canonical(body: bytes) -> bytes:
    """Return the request as upb writes it, without empty buckets at the ends."""
    request = Request.FromString(body)
    metrics = [m for f in request.resource_metrics for s in f.scope_metrics for m in s.metrics]
    for metric in metrics:
        if metric.WhichOneof("data") == "exponential_histogram":
            for point in metric.exponential_histogram.data_points:
                for side in (point.positive, point.negative):
                    if side.offset + len(side.bucket_counts) < 2**31:
                        counts = enumerate(side.bucket_counts, side.offset)
                        fill(side, {index: count for index, count in counts if count})
    return request.SerializeToString()
