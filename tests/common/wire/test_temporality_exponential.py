"""Exponential histograms are added and set against each other as if their values were at hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, strategies as st
from opentelemetry.proto.metrics.v1 import metrics_pb2

from common.wire import temporality_exponential as exponential, temporality_shape as shape
from common.wire.temporality_exponential import MAX_BUCKETS, Exponential
from common.wire.temporality_values import Odd


def of(values: list[float], scale: int, threshold: float = 0.0) -> Exponential:
    """Count *values* by the definition of buckets."""
    sides = []
    for sign in (1, -1):
        side: dict[int, int] = {}
        for value in values:
            if value * sign > threshold:
                index = index_of(abs(value), scale)
                side[index] = side.get(index, 0) + 1
        first, last = min(side, default=0), max(side, default=-1)
        sides.append((first, tuple(side.get(i, 0) for i in range(first, last + 1))))
    zeros = sum(abs(value) <= threshold for value in values)
    return Exponential(scale, threshold, zeros, len(values), math.fsum(values), *sides)


def index_of(value: float, scale: int) -> int:
    index = 0
    while exponential.bound(index, scale) >= value:
        index -= 1
    while exponential.bound(index + 1, scale) < value:
        index += 1
    return index


values = st.lists(st.integers(-200, 200).map(lambda n: n / 8), max_size=12)
scales = st.integers(-2, 3)
finer = st.integers(0, 3)
powers = st.sampled_from([0.0, 0.25, 1.0, 4.0])  # bounds of buckets at every scale from 0 on


@given(values, values, scales, scales)
def test_adding_is_counting_all_values_at_the_lower_scale(
    one: list[float], other: list[float], here: int, there: int
) -> None:
    assert exponential.plus(of(one, here), of(other, there)) == of(one + other, min(here, there))


@given(values, values, st.tuples(finer, finer), st.tuples(powers, powers))
def test_the_larger_threshold_takes_in_what_is_below(
    one: list[float], other: list[float], at: tuple[int, int], thresholds: tuple[float, float]
) -> None:
    total = exponential.plus(of(one, at[0], thresholds[0]), of(other, at[1], thresholds[1]))
    assert total == of(one + other, min(at), max(thresholds))


@given(values, values, scales, scales)
def test_taking_away_what_was_added_leaves_the_rest(
    one: list[float], other: list[float], here: int, there: int
) -> None:
    total = exponential.plus(of(one, here), of(other, there))
    assert total is not None
    assert exponential.minus(total, of(one, here)) == of(other, min(here, there))


def test_a_threshold_within_a_bucket_grows_to_its_bound() -> None:
    total = exponential.plus(of([3.0, 9.0], 0), of([0.5], 0, 2.5))
    assert total == Exponential(0, 4.0, 2, 3, 12.5, (3, (1,)), (0, ()))
    empty = exponential.plus(of([9.0], 0), of([0.5], 0, 2.5))
    assert empty is not None
    assert empty.threshold == 2.5


def test_a_threshold_that_grew_takes_in_buckets_of_the_other() -> None:
    total = exponential.plus(of([3.0], 0), of([3.5], 0, 2.5))
    assert total == Exponential(0, 4.0, 2, 2, 6.5, (0, ()), (0, ()))


@pytest.mark.parametrize(
    "earlier", [of([1.0, 3.0], 0), of([2.0] * 4, 0), of([0.0], 0), of([-3.0], 0), of([1e9], 0)]
)
def test_a_part_that_is_smaller_is_a_reset(earlier: Exponential) -> None:
    assert exponential.minus(of([2.0, 2.0, 5.0], 0), earlier) is Odd.RESET


def test_histograms_far_apart_are_brought_to_fewer_buckets() -> None:
    one = Exponential(20, 0.0, 0, 1, 1.0, (-(2**31), (1,)), (0, ()))
    other = Exponential(20, 0.0, 0, 1, 1.0, (2**31 - 2, (1,)), (0, ()))
    total = exponential.plus(one, other)
    assert total is not None
    assert len(total.positive[1]) <= MAX_BUCKETS < 2 * len(total.positive[1])
    assert sum(total.positive[1]) == 2
    assert total.scale < 0


def test_counts_that_do_not_fit_do_not_add_up() -> None:
    full = Exponential(0, 0.0, 0, 1, 1.0, (0, (2**64 - 1,)), (0, ()))
    assert exponential.plus(full, of([1.5], 0)) is None


def test_differences_that_do_not_fit_are_resets() -> None:
    large = 2**64 - 1
    full = Exponential(1, 0.0, 0, 1, 1.0, (0, (large, large)), (0, ()))
    assert exponential.minus(full, of([], 0)) is Odd.RESET
    assert exponential.minus(full, of([1.5], 1)) != Odd.RESET


def test_bounds_are_powers_of_the_base() -> None:
    assert [exponential.bound(n, 0) for n in (-1, 0, 1, 10)] == [0.5, 1.0, 2.0, 1024.0]
    assert exponential.bound(2, 1) == 2.0
    assert exponential.bound(1, -1) == 4.0
    assert exponential.bound(2**31 - 1, 0) == exponential.bound(1, -(2**20)) == math.inf
    assert exponential.bound(-(2**31), 0) == exponential.bound(-1, -(2**20)) == 0.0


def read(**fields: Any) -> Exponential | None:
    point = metrics_pb2.ExponentialHistogramDataPoint(**fields)
    return exponential.read(shape.exponential(point.SerializeToString()))


def test_points_are_read_without_empty_buckets_at_the_ends() -> None:
    found = read(
        scale=-1, count=9, zero_count=1, zero_threshold=0.5,
        positive={"offset": -2, "bucket_counts": [0, 1, 0, 2, 0, 0]},
        negative={"offset": 7, "bucket_counts": [0, 0]},
    )  # fmt: skip
    assert found == Exponential(-1, 0.5, 1, 9, None, (-1, (1, 0, 2)), (0, ()))


def test_a_threshold_of_negative_zero_is_zero() -> None:
    found = read(zero_threshold=-0.0)
    assert found is not None
    assert math.copysign(1, found.threshold) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"zero_threshold": -1.0},
        {"zero_threshold": math.nan},
        {"zero_threshold": math.inf},
        {"scale": 2**31 - 1},
        {"scale": -(2**31)},
        {"positive": {"offset": 2**31 - 1, "bucket_counts": [1, 1]}},
    ],
)
def test_what_cannot_be_is_not_read(fields: dict[str, Any]) -> None:
    assert read(**fields) is None


def test_points_are_written() -> None:
    before = metrics_pb2.ExponentialHistogramDataPoint(
        scale=3, sum=1.0, flags=2, negative={"offset": 4, "bucket_counts": [1]}
    )
    point = shape.exponential(before.SerializeToString())
    exponential.write(point, Exponential(2, 0.5, 1, 4, None, (3, (1, 2)), (0, ())))
    after = metrics_pb2.ExponentialHistogramDataPoint.FromString(point.SerializeToString())
    assert after == metrics_pb2.ExponentialHistogramDataPoint(
        scale=2, zero_threshold=0.5, zero_count=1, count=4, flags=2,
        positive={"offset": 3, "bucket_counts": [1, 2]}, negative={},
    )  # fmt: skip
