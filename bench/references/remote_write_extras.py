"""Exemplars and native histograms the obvious way: a dict of buckets, and a span for each."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from bench.references import prompb

Join = Callable[[list[KeyValue]], dict[str, str]]


def exemplars(point: Any, at: int, join: Join) -> list[Any]:
    """Return the exemplars of a point at *at* milliseconds that have a value."""
    found: list[Any] = []
    for each in [] if point.flags & 1 else point.exemplars:
        field = each.WhichOneof("value")
        timestamp = each.time_unix_nano // 1_000_000 or at
        if field is None or not timestamp:
            continue
        labels: dict[str, str] = {}
        for name, size in (("trace_id", 16), ("span_id", 8)):
            text = getattr(each, name).hex()
            if len(text) == 2 * size and text.strip("0"):
                labels[name] = text
        more = join(each.filtered_attributes) | labels
        if len("".join([*more, *more.values()])) <= 128:
            labels = more
        added = prompb.Exemplar(value=getattr(each, field), timestamp=timestamp)
        for name in sorted(labels):
            added.labels.add(name=name, value=labels[name])
        found.append(added)
    return found


def bound_of(value: float, bounds: list[float]) -> float | None:
    """Return the bound of the bucket that a value is in; infinity for that without one."""
    return next((bound for bound in [*bounds, math.inf] if value <= bound), None)


def native(point: Any, at: int, start: int, stale: float) -> Any:
    """Return a Histogram, or the reason why there is none."""
    if point.scale < -4 or not (point.HasField("sum") or point.flags & 1):
        return "unsupported_type"
    if not (point.zero_threshold >= 0 and math.isfinite(point.zero_threshold)):
        return "invalid_point"
    found = prompb.Histogram(
        count_int=point.count,
        sum=point.sum,
        schema=min(point.scale, 8),
        zero_threshold=point.zero_threshold or 1e-128,
        zero_count_int=point.zero_count,
        timestamp=at,
        start_timestamp=start,
    )
    if point.flags & 1:
        found.count_int = found.zero_count_int = 0
        found.sum = stale
        return found
    held = point.zero_count
    for side in ("negative", "positive"):
        buckets: Counter[int] = Counter()
        given = getattr(point, side)
        for n, count in enumerate(given.bucket_counts):
            # The bucket above base ** index, whose base is squared with each halving of the scale.
            buckets[(given.offset + n) // 2 ** min(max(0, point.scale - 8), 40) + 1] += count
        held += sum(buckets.values())
        before = index = 0
        for at_index in sorted(+buckets):
            count = buckets[at_index]
            if count >= 2**63 or not -(2**31) <= at_index < 2**31:
                return "invalid_point"
            getattr(found, f"{side}_spans").add(offset=at_index - index, length=1)
            getattr(found, f"{side}_deltas").append(count - before)
            before, index = count, at_index + 1
    adds_up = held == point.count or (math.isnan(point.sum) and held < point.count)
    return found if adds_up else "invalid_point"
