"""Points: bytes that protobuf reads, with numbers where they are said to be."""

import math
import struct

import pytest
from hypothesis import given, settings, strategies as st
from opentelemetry.proto.metrics.v1 import metrics_pb2

from agent.exposition import points
from agent.exposition.translate import Distribution, Kind

LABELS = ((b"a", b"1"), (b"b", b"x" * 200))
ENCODED = {kind: points.Attributes().encode(kind, LABELS) for kind in Kind}


def attributes(point) -> dict[str, str]:
    return {a.key: a.value.string_value for a in point.attributes}


def test_a_number_has_its_time_and_value_in_place() -> None:
    payload = bytearray(points.number(ENCODED[Kind.GAUGE]))
    struct.pack_into("<Q", payload, points.TIME_AT, 7)
    struct.pack_into("<d", payload, points.NUMBER_AT, 1.5)
    point = metrics_pb2.NumberDataPoint.FromString(bytes(payload))
    assert (point.time_unix_nano, point.as_double) == (7, 1.5)
    assert attributes(point) == {"a": "1", "b": "x" * 200}


@pytest.mark.parametrize("kind", list(Kind))
def test_attributes_of_any_length_are_what_protobuf_reads(kind: Kind) -> None:
    labels = tuple((b"n%d" % size, b"x" * size) for size in (0, 1, *range(100, 140), 20_000))
    found = {
        Kind.HISTOGRAM: metrics_pb2.HistogramDataPoint,
        Kind.EXPONENTIAL: metrics_pb2.ExponentialHistogramDataPoint,
    }.get(kind, metrics_pb2.NumberDataPoint)
    encoded = points.Attributes().encode(kind, labels)
    assert attributes(found.FromString(encoded)) == {k.decode(): v.decode() for k, v in labels}


def test_a_histogram_has_a_bucket_more_than_bounds() -> None:
    shape = Distribution(LABELS, 0, 1, tuple((float(i), i) for i in range(40)))
    payload, steps = points.histogram(shape, ENCODED[Kind.HISTOGRAM])
    out = bytearray(payload)
    for i, at in enumerate(steps):
        struct.pack_into("<Q", out, at, i)
    struct.pack_into("<Q", out, points.COUNT_AT, 9)
    struct.pack_into("<d", out, points.SUM_AT, 2.5)
    point = metrics_pb2.HistogramDataPoint.FromString(bytes(out))
    assert list(point.bucket_counts) == list(range(41))
    assert list(point.explicit_bounds) == list(range(40))
    assert (point.count, point.sum, attributes(point)["a"]) == (9, 2.5, "1")


def test_a_histogram_without_buckets_or_sum_is_a_count() -> None:
    payload, steps = points.histogram(Distribution((), 0, None, ()), b"")
    point = metrics_pb2.HistogramDataPoint.FromString(payload)
    assert steps == ()
    assert (len(point.bucket_counts), point.HasField("sum")) == (0, False)


def test_a_summary_has_its_quantiles() -> None:
    payload, steps = points.summary(
        Distribution(LABELS, 0, None, ((0.5, 1), (0.9, 2))), ENCODED[Kind.SUMMARY]
    )
    out = bytearray(payload)
    for i, at in enumerate(steps):
        struct.pack_into("<d", out, at, i + 1.5)
    point = metrics_pb2.SummaryDataPoint.FromString(bytes(out))
    assert [(q.quantile, q.value) for q in point.quantile_values] == [(0.5, 1.5), (0.9, 2.5)]
    assert attributes(point)["a"] == "1"


def test_a_stale_point_says_that_no_value_was_recorded() -> None:
    number = points.stale(Kind.SUM, points.number(ENCODED[Kind.SUM]), 5)
    point = metrics_pb2.NumberDataPoint.FromString(number)
    assert (point.flags, point.time_unix_nano, point.WhichOneof("value")) == (1, 5, None)
    shape = Distribution(LABELS, 0, 1, ((0.5, 1), (math.inf, 2)))
    payload, _ = points.histogram(shape, ENCODED[Kind.HISTOGRAM])
    histogram = metrics_pb2.HistogramDataPoint.FromString(points.stale(Kind.HISTOGRAM, payload, 5))
    assert (histogram.flags, list(histogram.bucket_counts)) == (1, [0, 0])
    payload, _ = points.summary(shape, ENCODED[Kind.SUMMARY])
    summary = metrics_pb2.SummaryDataPoint.FromString(points.stale(Kind.SUMMARY, payload, 5))
    assert (summary.flags, len(summary.quantile_values)) == (1, 2)


def test_a_distribution_stands_for_the_series_it_came_from() -> None:
    shape = Distribution(((b"a", b"1"), (b"z", b"2")), 0, 1, ((0.5, 1),))
    encode = points.Attributes().encode
    plain = encode(Kind.GAUGE, shape.labels)

    def step(label: bytes, value: bytes) -> bytes:
        return encode(Kind.GAUGE, ((b"a", b"1"), (label, value), (b"z", b"2")))

    payload, _ = points.histogram(shape, encode(Kind.HISTOGRAM, shape.labels))
    assert points.identities(b"h", Kind.HISTOGRAM, payload) == [
        (b"h_bucket", step(b"le", b"0.5")),
        (b"h_bucket", step(b"le", b"+Inf")),
        (b"h_sum", plain),
        (b"h_count", plain),
    ]
    payload, _ = points.summary(shape, encode(Kind.SUMMARY, shape.labels))
    assert points.identities(b"s", Kind.SUMMARY, payload) == [
        (b"s", step(b"quantile", b"0.5")),
        (b"s_sum", plain),
        (b"s_count", plain),
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, b"1"),
        (0.5, b"0.5"),
        (1e21, b"1" + b"0" * 21),
        (1.5e-7, b"0.00000015"),
        (-2.5e22, b"-25000000000000000000000"),
        (math.inf, b"+Inf"),
        (-math.inf, b"-Inf"),
    ],
)
def test_the_shortest_decimal_has_no_exponent(value: float, text: bytes) -> None:
    assert points.shortest(value) == text


@settings(max_examples=200)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_the_shortest_decimal_reads_back_the_same(value: float) -> None:
    text = points.shortest(value)
    assert float(text) == value
    assert b"e" not in text
