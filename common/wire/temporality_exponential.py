"""Exponential histograms as plain values: brought to one scale and zero threshold, then added.

Source: the OpenTelemetry metrics data model, "ExponentialHistogram": bucket *i* counts what is in
``(base**i, base**(i+1)]`` with ``base = 2**(2**-scale)``; at the next lower scale two neighbours
are one; a larger zero threshold takes in whole buckets, and grows to the bound of the last of them
that is not empty.
"""

from __future__ import annotations

import math
from operator import add, sub
from typing import Final, NamedTuple, TypeAlias

from common.wire import temporality_shape as shape
from common.wire.temporality_values import Algebra, Odd, minus_sum, plus_sum

# Two histograms far apart would make one with billions of empty buckets in between. SDKs keep to
# 160 buckets a side; what has more than this many after an addition is brought to a lower scale.
MAX_BUCKETS: Final = 320
_COUNT_MAX: Final = (1 << 64) - 1
# No double needs more of a scale, nor more of an index than its field has bits; what goes beyond
# could not be written back after a change of scale.
_SCALE_MAX: Final = 1 << 20
_INDEX_MAX: Final = (1 << 31) - 1

Buckets: TypeAlias = tuple[int, tuple[int, ...]]
"""Index of the first bucket, and counts; neither the first nor the last is 0."""

_NONE: Final[Buckets] = (0, ())


class Exponential(NamedTuple):
    """What an ExponentialHistogramDataPoint counts."""

    scale: int
    threshold: float
    """Of the bucket around zero."""
    zeros: int
    observations: int
    sum: float | None
    positive: Buckets
    negative: Buckets


def read(point: shape.ExponentialPoint) -> Exponential | None:
    """Return what *point* says; ``None`` if its threshold, scale or indexes cannot be."""
    positive = _trimmed(point.positive.offset, tuple(point.positive.bucket_counts))
    negative = _trimmed(point.negative.offset, tuple(point.negative.bucket_counts))
    if (
        not 0 <= point.zero_threshold < math.inf
        or abs(point.scale) > _SCALE_MAX
        or max(offset + len(counts) for offset, counts in (positive, negative)) > _INDEX_MAX
    ):
        return None
    return Exponential(
        point.scale,
        point.zero_threshold + 0.0,  # no negative zero
        point.zero_count,
        point.count,
        point.sum if point.HasField("sum") else None,
        positive,
        negative,
    )


def write(point: shape.ExponentialPoint, value: Exponential) -> None:
    """Have *point* say *value*."""
    point.scale = value.scale
    point.zero_threshold = value.threshold
    point.zero_count = value.zeros
    point.count = value.observations
    if value.sum is None:
        point.ClearField("sum")
    else:
        point.sum = value.sum
    for side, (offset, counts) in (
        (point.positive, value.positive),
        (point.negative, value.negative),
    ):
        if counts or len(side.bucket_counts):
            side.offset = offset
            del side.bucket_counts[:]
            side.bucket_counts.extend(counts)


def plus(total: Exponential, delta: Exponential) -> Exponential | None:
    """Add, at the scale and threshold that both can be brought to; ``None`` beyond 64 bits."""
    total, delta = _aligned(total, delta)
    by = max(
        _excess(total.positive, delta.positive),
        _excess(total.negative, delta.negative),
    )
    total, delta = _downscaled(total, by), _downscaled(delta, by)
    result = Exponential(
        total.scale,
        total.threshold,
        total.zeros + delta.zeros,
        total.observations + delta.observations,
        plus_sum(total.sum, delta.sum),
        _plus(total.positive, delta.positive),
        _plus(total.negative, delta.negative),
    )
    return result if _fits(result) else None


def minus(later: Exponential, earlier: Exponential) -> Exponential | Odd:
    """Subtract, at the scale and threshold that both can be brought to.

    A difference whose merged buckets are beyond 64 bits counts as a reset, too.
    """
    later, earlier = _aligned(later, earlier)
    positive = _minus(later.positive, earlier.positive)
    negative = _minus(later.negative, earlier.negative)
    zeros, count = later.zeros - earlier.zeros, later.observations - earlier.observations
    if positive is None or negative is None or zeros < 0 or count < 0:
        return Odd.RESET
    total = minus_sum(later.sum, earlier.sum)
    result = Exponential(later.scale, later.threshold, zeros, count, total, positive, negative)
    return result if _fits(result) else Odd.RESET


def bound(index: int, scale: int) -> float:
    """Return the lower bound of bucket *index*: 0 or infinity where a double has no such number."""
    try:
        return float(2.0 ** math.ldexp(index, -scale))
    except OverflowError:
        return math.inf if index > 0 else 0.0


def _fits(value: Exponential) -> bool:
    """Tell whether all counts can be written."""
    largest = max(value.observations, value.zeros, *value.positive[1], *value.negative[1])
    return largest <= _COUNT_MAX


def _trimmed(offset: int, counts: tuple[int, ...]) -> Buckets:
    """Leave out empty buckets at both ends."""
    first, end = 0, len(counts)
    while end and not counts[end - 1]:
        end -= 1
    if not end:
        return _NONE
    while not counts[first]:
        first += 1
    return offset + first, counts[first:end]


def _aligned(one: Exponential, other: Exponential) -> tuple[Exponential, Exponential]:
    """Bring both to one scale and one threshold."""
    scale = min(one.scale, other.scale)
    one, other = _downscaled(one, one.scale - scale), _downscaled(other, other.scale - scale)
    # Ends, since each turn but the last empties a bucket.
    while one.threshold != other.threshold:
        threshold = max(one.threshold, other.threshold)
        one, other = _widened(one, threshold), _widened(other, threshold)
    return one, other


def _downscaled(value: Exponential, by: int) -> Exponential:
    if not by:
        return value
    return value._replace(
        scale=value.scale - by,
        positive=_merged(value.positive, by),
        negative=_merged(value.negative, by),
    )


def _merged(buckets: Buckets, by: int) -> Buckets:
    """Merge *by* times neighbours into one."""
    offset, counts = buckets
    if not counts:
        return _NONE
    first = offset >> by
    merged = [0] * (((offset + len(counts) - 1) >> by) - first + 1)
    for index, count in enumerate(counts, offset):
        merged[(index >> by) - first] += count
    return first, tuple(merged)


def _widened(value: Exponential, threshold: float) -> Exponential:
    """Raise the zero threshold to *threshold*, or further if that is within a bucket."""
    if value.threshold >= threshold:
        return value
    zeros, sides = value.zeros, []
    reached = threshold
    for offset, counts in (value.positive, value.negative):
        taken = 0
        while taken < len(counts) and bound(offset + taken, value.scale) < threshold:
            if counts[taken]:
                reached = max(reached, bound(offset + taken + 1, value.scale))
            taken += 1
        zeros += sum(counts[:taken])
        sides.append(_trimmed(offset + taken, counts[taken:]))
    return value._replace(threshold=reached, zeros=zeros, positive=sides[0], negative=sides[1])


def _excess(one: Buckets, other: Buckets) -> int:
    """Return by how many scales both must be lowered so that together they are few enough."""
    ends = [(offset, offset + len(counts) - 1) for offset, counts in (one, other) if counts]
    if not ends:
        return 0
    first, last = min(first for first, _ in ends), max(last for _, last in ends)
    by = 0
    while (last >> by) - (first >> by) >= MAX_BUCKETS:
        by += 1
    return by


def _plus(one: Buckets, other: Buckets) -> Buckets:
    if not one[1]:
        return other
    if not other[1]:
        return one
    first = min(one[0], other[0])
    result = [0] * (max(one[0] + len(one[1]), other[0] + len(other[1])) - first)
    result[one[0] - first : one[0] - first + len(one[1])] = one[1]
    at, end = other[0] - first, other[0] - first + len(other[1])
    result[at:end] = map(add, result[at:end], other[1])
    return first, tuple(result)


def _minus(later: Buckets, earlier: Buckets) -> Buckets | None:
    """Return the difference, ``None`` if a bucket has become smaller."""
    if not earlier[1]:
        return later
    at = earlier[0] - later[0]
    end = at + len(earlier[1])
    if at < 0 or end > len(later[1]):
        return None
    result = list(later[1])
    result[at:end] = map(sub, result[at:end], earlier[1])
    return None if min(result) < 0 else _trimmed(later[0], tuple(result))


EXPONENTIALS: Final = Algebra(plus=plus, minus=minus)
