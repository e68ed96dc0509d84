"""Exponential histograms as native ones: buckets, spans, and what cannot be one."""

import math

import pytest
from hypothesis import given, settings, strategies as st

from bench.references import prompb
from common.wire import remote_write_native, remote_write_shape
from common.wire.remote_write_terms import Drop
from tests.common.wire.test_remote_write import STALE_BITS, bits, native, spread


def histogram(*args, **fields):
    point = remote_write_shape.read_exponential(spread(*args, **fields).SerializeToString())
    found = remote_write_native.histogram(point)
    if isinstance(found, Drop):
        return found
    return prompb.Histogram.FromString(found + remote_write_native.times(7, 5))


def spans(of):
    return [(span.offset, span.length) for span in of]


def test_indices_are_one_more_and_counts_are_differences():
    # OTLP: bucket of offset 3 holds (base^3, base^4]; Prometheus calls that one 4.
    found = histogram([5, 7, 2], offset=3, scale=2, sum=9.5)
    assert (spans(found.positive_spans), list(found.positive_deltas)) == ([(4, 3)], [5, 2, -5])
    assert (found.count_int, found.zero_count_int, found.sum, found.schema) == (15, 1, 9.5, 2)
    assert (found.zero_threshold, found.reset_hint) == (1e-128, 0)
    assert (found.timestamp, found.start_timestamp) == (7, 5)
    assert found.WhichOneof("count") == "count_int"
    assert not found.negative_spans


@pytest.mark.parametrize(
    ("counts", "expected", "deltas"),
    [
        ([1, 0, 0, 1], [(1, 4)], [1, -1, 0, 1]),
        ([1, 0, 0, 0, 1], [(1, 1), (3, 1)], [1, 0]),
        ([0, 0, 0, 0, 2, 1, 0], [(5, 2)], [2, -1]),
        ([0, 0], [], []),
        ([], [], []),
    ],
    ids=["a gap of two is filled", "one of three is not", "nothing around", "zeros", "empty"],
)
def test_small_gaps_are_filled_and_larger_ones_begin_a_span(counts, expected, deltas):
    found = histogram(counts, negative=counts)
    for side in ("positive", "negative"):
        assert spans(getattr(found, f"{side}_spans")) == expected
        assert list(getattr(found, f"{side}_deltas")) == deltas


def test_counts_of_zero_are_said_since_they_tell_the_kind():
    found = histogram([], zero_count=0)
    assert (found.WhichOneof("count"), found.WhichOneof("zero_count")) == (
        "count_int",
        "zero_count_int",
    )


def test_finer_scales_are_merged_down_to_8():
    # Scale 10: four buckets become one. Offset -3: indices -3..4, quarters -1, -1, -1, 0.., 1.
    found = histogram([1, 2, 4, 8, 16, 32, 64, 128], offset=-3, scale=10)
    assert found.schema == 8
    assert native(found)[-1][-1] == ((0, 7), (1, 120), (2, 128))
    assert histogram([1, 1], scale=2**31 - 1, offset=-1).count_int == 3


@pytest.mark.parametrize("scale", [-4, 0, 8])
def test_scales_that_prometheus_has_are_its_schemas(scale):
    assert histogram(scale=scale).schema == scale


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"scale": -5}, Drop.UNSUPPORTED_TYPE),
        ({"sum": None}, Drop.UNSUPPORTED_TYPE),
        ({"count": 5}, Drop.INVALID_POINT),
        ({"count": 3}, Drop.INVALID_POINT),
        ({"count": 3, "sum": math.nan}, Drop.INVALID_POINT),
        ({"zero_threshold": -1.0}, Drop.INVALID_POINT),
        ({"zero_threshold": math.nan}, Drop.INVALID_POINT),
        ({"zero_threshold": math.inf}, Drop.INVALID_POINT),
        ({"offset": 2**31 - 2}, Drop.INVALID_POINT),
        ({"positive": [2**63], "zero_count": 0}, Drop.INVALID_POINT),
        ({"positive": [2**62] * 2, "scale": 9, "zero_count": 0}, Drop.INVALID_POINT),
        ({"positive": [0] * 65_537}, Drop.INVALID_POINT),
    ],
)
def test_what_has_no_native_form_says_why(fields, reason):
    assert histogram(**fields) is reason


def test_the_limits_themselves_are_fine():
    assert spans(histogram([1], offset=2**31 - 2).positive_spans) == [(2**31 - 1, 1)]
    assert spans(histogram([1], offset=-(2**31)).positive_spans) == [(-(2**31) + 1, 1)]
    assert list(histogram([2**63 - 1], zero_count=0).positive_deltas) == [2**63 - 1]
    assert histogram([0] * 65_535 + [1]).count_int == 2
    assert histogram(zero_threshold=1e-9).zero_threshold == 1e-9


def test_what_was_observed_but_is_no_number_is_in_no_bucket():
    assert histogram(count=9, sum=math.nan).count_int == 9


def test_no_recorded_value_is_a_stale_marker_whatever_else_is_said():
    found = histogram(flags=1, sum=None, count=99, scale=9)
    assert bits(found.sum) == STALE_BITS
    assert (found.count_int, found.zero_count_int, found.schema) == (0, 0, 8)
    assert not (found.positive_spans or found.positive_deltas or found.negative_spans)


def test_without_a_start_the_message_is_that_of_1_0():
    assert remote_write_native.times(300, 0) == b"\x78\xac\x02"


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.sampled_from([0, 0, 0, 1, 5, 2**63 - 1]), max_size=20),
    st.integers(-50, 50),
    st.integers(-4, 8),
)
def test_every_observation_stays_between_the_same_bounds(counts, offset, scale):
    found = histogram(counts, offset=offset, scale=scale, zero_count=0)
    if sum(counts) >= 2**64:
        return
    # OTLP: bucket index is (base^index, base^(index+1)]; Prometheus: (base^(index-1), base^index].
    expected = {offset + n + 1: count for n, count in enumerate(counts) if count}
    assert dict(native(found)[-1][-1]) == expected
