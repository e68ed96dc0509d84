"""Native histograms in OTLP's terms: indices one less, overflow left out, counts that add up."""

import dataclasses
import math

import pytest
from hypothesis import given, strategies as st

from agent.exposition import model, native

PLAIN = model.Native(
    schema=1,
    zero_threshold=1e-128,
    zero_count=2,
    count=14,
    sum=9.5,
    positive_offset=3,
    positive=(5, 0, 1),
    negative_offset=-2,
    negative=(4, 2),
)


def changed(**fields):
    return native.exponential(dataclasses.replace(PLAIN, **fields))


def test_buckets_begin_in_otlp_where_they_end_here() -> None:
    assert changed() == native.Exponential(
        scale=1,
        count=14,
        sum=9.5,
        zero_count=2,
        zero_threshold=1e-128,
        positive_offset=2,
        positive=(5, 0, 1),
        negative_offset=-3,
        negative=(4, 2),
    )


def test_a_side_without_buckets_has_no_offset() -> None:
    found = changed(positive=(), negative=(), positive_offset=7, negative_offset=0, count=2)
    assert (found.positive_offset, found.negative_offset, found.count) == (0, 0, 2)


@pytest.mark.parametrize("schema", range(native.MIN_SCHEMA, native.MAX_SCHEMA + 1))
def test_infinities_that_were_observed_are_left_out(schema: int) -> None:
    # Bucket i ends at 2^(i * 2^-schema): the last regular one there is ends at 2^1024.
    last = int(1024 * 2.0**schema)
    found = changed(
        schema=schema,
        positive_offset=last - 1,
        positive=(1, 2, 4),
        negative_offset=last + 1,
        negative=(8,),
        count=17,
        sum=math.nan,
    )
    assert (found.positive, found.negative) == ((1, 2), ())
    assert found.positive_offset == last - 2
    assert found.count == 2 + 1 + 2
    assert math.isnan(found.sum)


def test_nans_that_were_observed_are_not_counted() -> None:
    assert changed(sum=math.nan, count=20).count == 14


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"gauge": True}, native.Unsent.GAUGE),
        ({"fractional": True}, native.Unsent.FRACTIONAL),
        ({"schema": 9}, native.Unsent.SCHEMA),
        ({"schema": -5}, native.Unsent.SCHEMA),
        ({"schema": native.CUSTOM}, native.Unsent.SCHEMA),
        ({"count": 13}, native.Unsent.BUCKETS),
        ({"count": 15}, native.Unsent.BUCKETS),
        ({"count": 13, "sum": math.nan}, native.Unsent.BUCKETS),
        ({"positive": (7, -1)}, native.Unsent.BUCKETS),
        ({"negative": (7, -1)}, native.Unsent.BUCKETS),
        ({"positive_offset": -(1 << 31)}, native.Unsent.BUCKETS),
        ({"zero_threshold": -1.0}, native.Unsent.THRESHOLD),
        ({"zero_threshold": math.inf}, native.Unsent.THRESHOLD),
        ({"zero_threshold": math.nan}, native.Unsent.THRESHOLD),
    ],
)
def test_what_cannot_be_said_in_otlp_says_why(fields, why: native.Unsent) -> None:
    assert changed(**fields) is why


CUSTOM = {
    "schema": native.CUSTOM,
    "custom": (1.0, 2.5),
    "negative": (),
    "zero_count": 0,
    "count": 6,
}


@pytest.mark.parametrize(
    ("offset", "told", "counts"),
    [(0, (1, 2, 3), (1, 2, 3)), (1, (6,), (0, 6, 0)), (2, (6,), (0, 0, 6))],
)
def test_custom_bounds_make_a_histogram_of_explicit_ones(offset: int, told, counts) -> None:
    assert changed(**CUSTOM, positive_offset=offset, positive=told) == native.Explicit(
        count=6, sum=9.5, bounds=(1.0, 2.5), counts=counts
    )


def test_custom_bounds_without_observations_have_counts_of_zero() -> None:
    fields = CUSTOM | {"count": 0, "positive": (), "positive_offset": 9_999_999_999}
    assert changed(**fields).counts == (0, 0, 0)


@pytest.mark.parametrize(
    "fields",
    [
        {"positive_offset": 3, "positive": (6,)},
        {"positive_offset": -1, "positive": (6,)},
        {"positive_offset": 0, "positive": (1, 2, 2, 1)},
        {"positive_offset": 0, "positive": (4,), "zero_count": 2},
        {"positive_offset": 0, "positive": (4,), "negative": (2,)},
    ],
)
def test_buckets_outside_the_custom_ones_are_none(fields) -> None:
    assert changed(**(CUSTOM | fields)) is native.Unsent.BUCKETS


@given(
    schema=st.integers(-4, 8),
    positive=st.lists(st.integers(0, 99), max_size=5),
    negative=st.lists(st.integers(0, 99), max_size=5),
    offset=st.integers(-300_000, 300_000),
    zeros=st.integers(0, 9),
)
def test_every_bucket_keeps_its_bounds_and_the_count_is_theirs(
    schema: int, positive, negative, offset: int, zeros: int
) -> None:
    held = zeros + sum(positive) + sum(negative)
    found = changed(
        schema=schema,
        positive=tuple(positive),
        negative=tuple(negative),
        positive_offset=offset,
        negative_offset=offset,
        zero_count=zeros,
        count=held,
    )
    end = 1024 * 2.0**schema
    assert found.count == found.zero_count + sum(found.positive) + sum(found.negative)
    for told, kept, first in (
        (positive, found.positive, found.positive_offset),
        (negative, found.negative, found.negative_offset),
    ):
        # By their upper bound, log2 of it times 2^schema: offset + i here, first + i + 1 there.
        expected = {offset + i: n for i, n in enumerate(told) if offset + i <= end}
        assert {first + 1 + i: n for i, n in enumerate(kept)} == expected
