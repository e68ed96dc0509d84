"""What points say as plain values, and how two of them are added or set against each other."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from operator import add, sub
from typing import Any, Final, NamedTuple, TypeAlias, final

from common.wire import temporality_shape as shape

_INT_MIN, _INT_MAX = -(1 << 63), (1 << 63) - 1
_COUNT_MAX: Final = (1 << 64) - 1

Number: TypeAlias = int | float


class Histogram(NamedTuple):
    """What a HistogramDataPoint counts."""

    bounds: bytes
    """Doubles, eight bytes each: a quarter of what a tuple of them takes."""
    counts: tuple[int, ...]
    """One more than bounds, or none at all."""
    observations: int
    sum: float | None


class Odd(Enum):
    """Why there is no difference between two values."""

    RESET = "reset"
    """The later one is less: it began anew in between."""
    INCOMPARABLE = "incomparable"
    """They count by different bounds."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Algebra:
    """What can be done with the values of one kind of points."""

    plus: Callable[[Any, Any], Any]
    """Adds a delta to a total; ``None`` if that cannot be written, or if their bounds differ."""
    minus: Callable[[Any, Any], Any]
    """Takes an earlier total from a later one; `Odd` if that is no difference."""


def plus_number(total: Number, delta: Number) -> Number | None:
    """Add; integers stay integers as long as 63 bits take them, and become doubles then."""
    result = total + delta
    if type(result) is int:
        return result if _INT_MIN <= result <= _INT_MAX else float(result)
    return result if math.isfinite(result) else None


def minus_number(later: Number, earlier: Number) -> Number | Odd:
    """Subtract totals of a monotonic sum."""
    if later < earlier:
        return Odd.RESET
    result = later - earlier
    if type(result) is int:
        return result if result <= _INT_MAX else float(result)
    return result if math.isfinite(result) else Odd.RESET


def read_histogram(point: shape.HistogramPoint) -> Histogram | None:
    """Return what *point* says; ``None`` if it contradicts itself."""
    bounds, counts = point.explicit_bounds, tuple(point.bucket_counts)
    if len(counts) != len(bounds) + 1 and (counts or len(bounds)):
        return None
    packed = struct.pack(f"<{len(bounds)}d", *bounds)
    return Histogram(packed, counts, point.count, point.sum if point.HasField("sum") else None)


def write_histogram(point: shape.HistogramPoint, value: Histogram) -> None:
    """Have *point*, which has the same bounds, say *value*."""
    point.count = value.observations
    if value.sum is None:
        point.ClearField("sum")
    else:
        point.sum = value.sum
    del point.bucket_counts[:]
    point.bucket_counts.extend(value.counts)


def plus_histogram(total: Histogram, delta: Histogram) -> Histogram | None:
    """Add bucket by bucket; a sum that one of them lacks is lacking from then on."""
    if total.bounds != delta.bounds or len(total.counts) != len(delta.counts):
        return None
    counts = tuple(map(add, total.counts, delta.counts))
    count = total.observations + delta.observations
    if count > _COUNT_MAX or max(counts, default=0) > _COUNT_MAX:
        return None
    return Histogram(delta.bounds, counts, count, plus_sum(total.sum, delta.sum))


def minus_histogram(later: Histogram, earlier: Histogram) -> Histogram | Odd:
    """Subtract bucket by bucket. A sum may fall, as observations may be negative."""
    if later.bounds != earlier.bounds or len(later.counts) != len(earlier.counts):
        return Odd.INCOMPARABLE
    counts = tuple(map(sub, later.counts, earlier.counts))
    count = later.observations - earlier.observations
    if count < 0 or min(counts, default=0) < 0:
        return Odd.RESET
    return Histogram(later.bounds, counts, count, minus_sum(later.sum, earlier.sum))


def plus_sum(total: float | None, delta: float | None) -> float | None:
    """Add the sums of two histograms; NaN and infinity stay, as they do in the sender."""
    return None if total is None or delta is None else total + delta


def minus_sum(later: float | None, earlier: float | None) -> float | None:
    """Subtract the sums of two histograms."""
    return None if later is None or earlier is None else later - earlier


NUMBERS: Final = Algebra(plus=plus_number, minus=minus_number)
HISTOGRAMS: Final = Algebra(plus=plus_histogram, minus=minus_histogram)
