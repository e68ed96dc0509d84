"""Native histograms in the terms of OTLP: what their points say, or why there are none.

Sources: io.prometheus.client.Histogram, whose bucket *i* ends at 2^(i * 2^-schema), that bound
included, and opentelemetry/proto/metrics/v1/metrics.proto (ExponentialHistogramDataPoint), whose
bucket *i* begins at that bound. So an index there is one less than here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from agent.exposition import model

MIN_SCHEMA, MAX_SCHEMA = -4, 8
CUSTOM = -53
"""The schema whose bounds are told one by one."""

_INDICES = range(-(1 << 31), 1 << 31)
_LAST = 10  # log2 of 1024, the exponent at which a double ends


class Unsent(StrEnum):
    """Why a native histogram makes no point."""

    GAUGE = "native_gauge"  # OTLP has no histogram of what there is now
    FRACTIONAL = "native_float"  # nor one with counts that are not whole
    SCHEMA = "native_schema"  # neither -4 to 8 nor -53 with bounds
    BUCKETS = "native_buckets"  # counts below zero, that do not add up, or in no bucket there is
    THRESHOLD = "native_threshold"  # below zero, infinite or NaN


@dataclass(frozen=True, slots=True, kw_only=True)
class Exponential:
    """What an ExponentialHistogramDataPoint says; ``positive[i]`` is of its bucket offset + i."""

    scale: int
    count: int
    sum: float
    zero_count: int
    zero_threshold: float
    positive_offset: int
    positive: tuple[int, ...]
    negative_offset: int
    negative: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explicit:
    """What a HistogramDataPoint says: one count more than there are bounds."""

    count: int
    sum: float
    bounds: tuple[float, ...]
    counts: tuple[int, ...]


def known(schema: int) -> bool:
    """Tell whether buckets of *schema* can be read."""
    return MIN_SCHEMA <= schema <= MAX_SCHEMA or schema == CUSTOM


def exponential(histogram: model.Native) -> Exponential | Explicit | Unsent:
    """Put *histogram* in OTLP's terms, or say why it is not to be sent.

    What lies beyond the range of a double, in buckets of their own for the infinities, is left out.
    The count is that of the buckets that are sent, which OTLP demands; so it is also without the
    NaNs that were observed, which are in no bucket and make the sum NaN.
    """
    refused = _refused(histogram)
    if refused is not None:
        return refused
    if histogram.schema == CUSTOM:
        return _explicit(histogram)
    if not 0 <= histogram.zero_threshold < math.inf:
        return Unsent.THRESHOLD
    positive = _kept(histogram.schema, histogram.positive_offset, histogram.positive)
    negative = _kept(histogram.schema, histogram.negative_offset, histogram.negative)
    offsets = (
        histogram.positive_offset - 1 if positive else 0,
        histogram.negative_offset - 1 if negative else 0,
    )
    if any(offset not in _INDICES for offset in offsets):
        return Unsent.BUCKETS
    return Exponential(
        scale=histogram.schema,
        count=histogram.zero_count + sum(positive) + sum(negative),
        sum=histogram.sum,
        zero_count=histogram.zero_count,
        zero_threshold=histogram.zero_threshold,
        positive_offset=offsets[0],
        positive=positive,
        negative_offset=offsets[1],
        negative=negative,
    )


def _refused(histogram: model.Native) -> Unsent | None:
    if histogram.gauge:
        return Unsent.GAUGE
    if histogram.fractional:
        return Unsent.FRACTIONAL
    if not known(histogram.schema):
        return Unsent.SCHEMA
    if min(*histogram.positive, *histogram.negative, 0, 0) < 0:
        return Unsent.BUCKETS
    held = histogram.zero_count + sum(histogram.positive) + sum(histogram.negative)
    # A NaN that was observed is counted, but in no bucket.
    if held > histogram.count or (held < histogram.count and not math.isnan(histogram.sum)):
        return Unsent.BUCKETS
    return None


def _kept(schema: int, offset: int, counts: tuple[int, ...]) -> tuple[int, ...]:
    """Return *counts* without those of buckets that begin where doubles end."""
    last = 1 << (_LAST + schema)
    return counts[: max(0, last + 1 - offset)]


def _explicit(histogram: model.Native) -> Explicit | Unsent:
    bounds = histogram.custom
    if not bounds:
        return Unsent.SCHEMA
    told = histogram.positive
    first = histogram.positive_offset if told else 0
    empty = len(bounds) + 1 - len(told) - first  # behind what is told
    if histogram.negative or histogram.zero_count or first < 0 or empty < 0:
        return Unsent.BUCKETS
    counts = (0,) * first + told + (0,) * empty
    return Explicit(count=sum(counts), sum=histogram.sum, bounds=bounds, counts=counts)
