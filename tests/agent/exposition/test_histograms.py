"""Native histograms and exemplars, from messages."""

import math

import numpy as np
import pytest

from agent.exposition import families, histograms, model, numbers, spans
from common.wire import errors
from tests.fakes import metric_families as made

STALE = np.array([0x7FF0000000000002], np.uint64).view(np.float64)[0]


def span(offset: int, length: int):
    return made.make("BucketSpan", offset=offset, length=length)


def time(seconds: int, nanos: int = 0):
    return made.make("Timestamp", seconds=seconds, nanos=nanos)


def histogram(**fields):
    return made.make("Histogram", **fields)


def read(limits: model.Limits | None = None, *, gauge: bool = False, **fields) -> model.Native:
    metric = made.metric(histogram=histogram(**fields)).SerializeToString()
    room = spans.Room(limits or model.Limits())
    return histograms.read(families.metric(metric).histogram, room, gauge=gauge)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, False),
        ({"sample_count": 3, "schema": 2}, False),
        ({"positive_span": [span(0, 0)]}, True),
        ({"negative_span": [span(0, 0)]}, True),
        ({"zero_threshold": 1e-128}, True),
        ({"zero_count": 1}, True),
    ],
)
def test_a_histogram_is_native_where_prometheus_says_so(fields, expected) -> None:
    assert histograms.is_native(histogram(**fields)) is expected


def test_counts_become_absolute_and_gaps_are_filled() -> None:
    found = read(
        schema=3,
        zero_threshold=0.5,
        zero_count=2,
        sample_count=19,
        sample_sum=2.5,
        positive_span=[span(-1, 2), span(1, 1)],
        positive_delta=[3, 1, -2],
        negative_span=[span(4, 1)],
        negative_delta=[8],
    )
    assert (found.schema, found.zero_threshold, found.zero_count) == (3, 0.5, 2)
    assert (found.count, found.sum) == (19, 2.5)
    assert (found.positive_offset, found.positive) == (-1, (3, 4, 0, 2))
    assert (found.negative_offset, found.negative) == (4, (8,))
    assert not found.gauge and not found.fractional and found.exemplars == ()


def test_a_target_cannot_make_a_stale_marker() -> None:
    found = read(zero_threshold=1, sample_sum=STALE)
    assert np.float64(found.sum).tobytes() == numbers.NAN.tobytes()


@pytest.mark.parametrize(
    "fields",
    [
        {"sample_count_float": 1.5, "positive_span": [span(0, 1)], "positive_count": [1.5]},
        {"zero_count_float": 1.5, "negative_span": [span(0, 1)], "negative_count": [1.5]},
    ],
)
def test_fractional_ones_are_told_without_their_buckets(fields) -> None:
    found = read(exemplars=[made.make("Exemplar", timestamp=time(1))], **fields)
    assert found.fractional
    assert (found.positive, found.negative, found.exemplars) == ((), (), ())


@pytest.mark.parametrize(
    "fields",
    [
        {"positive_span": [span(0, 2)], "positive_delta": [1]},
        {"positive_span": [span(0, 1)], "positive_count": [1.0]},
        {"sample_count_float": 1.0, "positive_span": [span(0, 1)], "positive_delta": [1]},
        {"schema": 77, "negative_span": [span(0, 1)]},
    ],
)
def test_buckets_that_are_missing_are_refused_in_every_flavour(fields) -> None:
    with pytest.raises(errors.Malformed, match="with counts of"):
        read(**fields)


@pytest.mark.parametrize("schema", [-5, 9, 1 << 30])
def test_buckets_of_an_unknown_schema_are_left_out(schema: int) -> None:
    found = read(schema=schema, positive_span=[span(0, 1)], positive_delta=[1], sample_count=1)
    assert (found.schema, found.positive, found.count) == (schema, (), 1)


def test_gaps_that_would_take_memory_are_refused_first() -> None:
    fields = {"positive_span": [span(0, 1), span(2_000_000_000, 1)], "positive_delta": [1, 0]}
    with pytest.raises(errors.TooLarge, match="2000000002 buckets over the limit of 65536"):
        read(**fields)
    with pytest.raises(errors.TooLarge, match="of 3 buckets over the limit of 2"):
        read(
            model.Limits(buckets=2),
            positive_span=[span(0, 2)],
            positive_delta=[1, 1],
            negative_span=[span(0, 1)],
            negative_delta=[1],
        )
    assert read(gauge=True, zero_count=1, schema=1).gauge


def exemplar(seconds: int | None, nanos: int = 0, **fields) -> model.Exemplar:
    stamped = {} if seconds is None else {"timestamp": time(seconds, nanos)}
    told = made.make("Exemplar", label=made.labels({"trace_id": "ab"}), **stamped, **fields)
    bucket = made.make("Bucket", exemplar=told)
    metric = made.metric(histogram=histogram(bucket=[bucket])).SerializeToString()
    return histograms.exemplar(families.metric(metric).histogram.bucket[0].exemplar)


@pytest.mark.parametrize(
    ("seconds", "nanos", "milliseconds"),
    [
        (1_700_000_000, 123_999_999, 1_700_000_000_123),
        (0, 0, 0),
        (None, 0, model.UNTIMED),
        (-62_135_596_800, 0, model.UNTIMED),
        (1 << 60, 0, model.UNTIMED),
    ],
)
def test_times_of_exemplars_are_milliseconds(seconds, nanos: int, milliseconds: int) -> None:
    found = exemplar(seconds, nanos, value=0.5)
    assert found == (((b"trace_id", b"ab"),), 0.5, milliseconds)


def test_exemplars_of_native_histograms_need_a_time() -> None:
    told = [made.make("Exemplar", value=1), made.make("Exemplar", value=2, timestamp=time(3))]
    assert [each.value for each in read(zero_count=1, exemplars=told).exemplars] == [2]
    buckets = [made.make("Bucket", exemplar=each) for each in told] + [made.make("Bucket")]
    assert [each.value for each in read(zero_count=1, bucket=buckets).exemplars] == [2]
    other = made.make("Exemplar", value=4, timestamp=time(3))
    found = read(zero_count=1, bucket=buckets, exemplars=[other]).exemplars
    assert [each.value for each in found] == [4]


def test_the_value_of_an_exemplar_is_no_stale_marker_either() -> None:
    assert math.isnan(exemplar(1, value=STALE).value)
    assert np.float64(exemplar(1, value=STALE).value).tobytes() == numbers.NAN.tobytes()
