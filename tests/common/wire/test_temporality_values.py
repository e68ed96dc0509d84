"""Values add up, differ, overflow and contradict each other as the rules want to know it."""

from __future__ import annotations

import math
import struct
from typing import Any

import pytest
from opentelemetry.proto.metrics.v1 import metrics_pb2

from common.wire import temporality_shape as shape
from common.wire.temporality_values import (
    Histogram,
    Odd,
    minus_histogram,
    minus_number,
    plus_histogram,
    plus_number,
    read_histogram,
    write_histogram,
)

TOP = 2**63 - 1


def histogram(*counts: int, total: float | None = 1.0, bounds: bytes = b"b") -> Histogram:
    return Histogram(bounds, counts, sum(counts), total)


@pytest.mark.parametrize(
    ("total", "delta", "result"),
    [
        (1, 2, 3),
        (1, 0.5, 1.5),
        (TOP, 1, 2.0**63),
        (-(2**63), -1, -(2.0**63)),
        (1e308, 1e308, None),
    ],
)
def test_numbers_add_up(total: float, delta: float, result: float | None) -> None:
    assert plus_number(total, delta) == result
    assert type(plus_number(total, delta)) is type(result)


@pytest.mark.parametrize(
    ("later", "earlier", "result"),
    [
        (3, 1, 2),
        (3, 3, 0),
        (1.5, 1, 0.5),
        (1, 3, Odd.RESET),
        (TOP, -(2**63), 2.0**64),
        (1.5e308, -1.5e308, Odd.RESET),
    ],
)
def test_numbers_differ(later: float, earlier: float, result: object) -> None:
    assert minus_number(later, earlier) == result
    assert type(minus_number(later, earlier)) is type(result)


def test_histograms_add_up_and_differ_bucket_by_bucket() -> None:
    both = plus_histogram(histogram(1, 2, total=1.5), histogram(3, 0, total=-4.0))
    assert both == histogram(4, 2, total=-2.5)
    assert minus_histogram(both, histogram(1, 2, total=1.5)) == histogram(3, 0, total=-4.0)


@pytest.mark.parametrize(("one", "other"), [(None, 1.0), (1.0, None), (None, None)])
def test_without_both_sums_there_is_none(one: float | None, other: float | None) -> None:
    pair = histogram(2, total=one), histogram(1, total=other)
    assert [plus_histogram(*pair), minus_histogram(*pair)] == [
        histogram(3, total=None),
        histogram(1, total=None),
    ]


def test_a_sum_that_is_not_a_number_stays_so() -> None:
    result = plus_histogram(histogram(1, total=math.nan), histogram(1))
    assert result is not None
    assert result.sum is not None
    assert math.isnan(result.sum)


@pytest.mark.parametrize(
    "other", [histogram(1, bounds=b"x"), histogram(1, 2), Histogram(b"b", (), 1, 1.0)]
)
def test_other_buckets_are_incomparable(other: Histogram) -> None:
    assert plus_histogram(histogram(1), other) is None
    assert minus_histogram(histogram(1), other) is Odd.INCOMPARABLE


def test_counts_that_do_not_fit_do_not_add_up() -> None:
    assert plus_histogram(histogram(2**64 - 1), histogram(1)) is None
    large, one = Histogram(b"", (2**64 - 1,), 0, None), Histogram(b"", (1,), 0, None)
    assert plus_histogram(large, one) is None


def test_a_part_that_is_smaller_is_a_reset() -> None:
    assert minus_histogram(histogram(0, 5), histogram(1, 1)) is Odd.RESET
    assert minus_histogram(Histogram(b"", (), 1, None), Histogram(b"", (), 2, None)) is Odd.RESET


def read(**fields: Any) -> Histogram | None:
    point = metrics_pb2.HistogramDataPoint(**fields)
    return read_histogram(shape.histogram(point.SerializeToString()))


def test_points_are_read() -> None:
    found = read(count=3, sum=1.5, explicit_bounds=[1.0], bucket_counts=[1, 2])
    assert found == Histogram(struct.pack("<d", 1.0), (1, 2), 3, 1.5)
    assert read(count=3) == Histogram(b"", (), 3, None)
    assert read(count=3, bucket_counts=[3]) == Histogram(b"", (3,), 3, None)
    assert read(explicit_bounds=[1.0], bucket_counts=[1]) is None
    assert read(explicit_bounds=[1.0]) is None
    assert read(bucket_counts=[1, 2]) is None


def test_points_are_written() -> None:
    point = shape.histogram(metrics_pb2.HistogramDataPoint(sum=9, flags=2).SerializeToString())
    write_histogram(point, Histogram(b"", (4,), 4, None))
    written = metrics_pb2.HistogramDataPoint.FromString(point.SerializeToString())
    assert written == metrics_pb2.HistogramDataPoint(count=4, bucket_counts=[4], flags=2)
    write_histogram(point, Histogram(b"", (5,), 5, 2.5))
    written = metrics_pb2.HistogramDataPoint.FromString(point.SerializeToString())
    assert written == metrics_pb2.HistogramDataPoint(count=5, sum=2.5, bucket_counts=[5], flags=2)
