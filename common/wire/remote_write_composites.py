"""Histograms and summaries as the series they consist of: names, bounds and values.

Source: opentelemetry/proto/metrics/v1/metrics.proto and the compatibility specification's
"Histograms" and "Summaries"; remote write 1.0 knows neither, so each is some ``_bucket`` or
``quantile`` series, a ``_sum`` and a ``_count``.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Final

from common.wire import remote_write_series, remote_write_shape, remote_write_text
from common.wire.remote_write_exemplars import Spelt
from common.wire.remote_write_labels import Layers
from common.wire.remote_write_parts import Composite

_INFINITY: Final = float("inf")


def bucket_texts(bounds: Sequence[float]) -> list[str] | None:
    """Return the ``le`` of each bucket, ``+Inf`` included; None unless the bounds strictly rise."""
    if any(not lower < upper for lower, upper in pairwise((-_INFINITY, *bounds))):
        return None
    # A bound of infinity is the bucket that exists anyway.
    finite = bounds[:-1] if bounds and bounds[-1] == _INFINITY else bounds
    return [*map(remote_write_text.decimal, finite), "+Inf"]


def quantile_texts(ranks: Sequence[float]) -> list[str] | None:
    """Return the ``quantile`` of each rank; None if one occurs twice."""
    texts = [*map(remote_write_text.decimal, ranks)]
    return texts if len(set(texts)) == len(texts) else None


def counts_fit(point: remote_write_shape.HistogramPoint) -> bool:
    """Tell whether there is a count for each bucket; a histogram without any buckets is fine."""
    counts, bounds = len(point.bucket_counts), len(point.explicit_bounds)
    return counts == bounds + 1 or not (counts or bounds)


def size(layers: Sequence[Layers], attributes: Sequence[bytes], bounds: int) -> int:
    """Return about how many bytes of labels a point with so many *bounds* makes, not too many."""
    return (bounds + 2) * len(layers[-1].head(attributes))


def heads(
    layers: Sequence[Layers], attributes: Sequence[bytes], slot: str, texts: Sequence[str]
) -> tuple[bytes, ...]:
    """Return the heads of a point: one for each text in the *slot*, then ``_sum`` and ``_count``.

    *layers* are those of the many, of the sum and of the count.
    """
    many, total, count = layers
    return (
        *[many.head(attributes, remote_write_series.label(slot, text)) for text in texts],
        total.head(attributes),
        count.head(attributes),
    )


def histogram(
    point: remote_write_shape.HistogramPoint,
    heads: tuple[bytes, ...],
    milliseconds: int,
    start: bytes,
    exemplars: Mapping[bytes, Sequence[Spelt]],
) -> Composite:
    """Return the samples of a histogram: cumulative buckets, the sum if there is one, the count."""
    if point.flags & remote_write_shape.NO_RECORDED_VALUE:
        return stale(heads, milliseconds, start)
    # Behind the buckets with a bound follow +Inf, which is the count whatever the buckets say, the
    # sum and the count.
    buckets = list(accumulate(point.bucket_counts))[: len(heads) - 3]
    values: list[float] = [*buckets, point.count]
    if point.HasField("sum"):
        values.append(point.sum)
    else:
        heads = (*heads[:-2], heads[-1])
    values.append(point.count)
    return Composite(
        milliseconds=milliseconds,
        heads=heads,
        values=_packed(values),
        start=start,
        exemplars=exemplars,
    )


def summary(
    point: remote_write_shape.SummaryPoint,
    heads: tuple[bytes, ...],
    milliseconds: int,
    start: bytes,
) -> Composite:
    """Return the samples of a summary: quantiles, the sum, the count."""
    if point.flags & remote_write_shape.NO_RECORDED_VALUE:
        return stale(heads, milliseconds, start)
    values = [entry.value for entry in point.quantile_values]
    return Composite(
        milliseconds=milliseconds,
        heads=heads,
        values=_packed([*values, point.sum, point.count]),
        start=start,
    )


def stale(heads: tuple[bytes, ...], milliseconds: int, start: bytes) -> Composite:
    """Return stale markers for every series, a ``_sum`` that may never have been included.

    A point without recorded values does not tell whether it would have had a sum; a marker too many
    harms nobody, one too few leaves a series that looks alive for five minutes.
    """
    values = (remote_write_series.STALE,) * len(heads)
    return Composite(milliseconds=milliseconds, heads=heads, values=values, start=start)


def _packed(values: Sequence[float]) -> tuple[bytes, ...]:
    packed = struct.pack(f"<{len(values)}d", *values)
    return tuple([packed[at : at + 8] for at in range(0, len(packed), 8)])
