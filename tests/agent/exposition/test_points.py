"""Points: bytes that protobuf reads, with numbers where they are said to be."""

import math
import struct

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from opentelemetry.proto.metrics.v1 import metrics_pb2

from agent.exposition import model, points
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


def test_a_start_time_comes_first_and_moves_everything_else() -> None:
    payload = bytearray(points.number(ENCODED[Kind.SUM], started=True))
    struct.pack_into("<Q", payload, points.START_AT, 3)
    struct.pack_into("<Q", payload, points.TIME_AT + points.START_SIZE, 7)
    struct.pack_into("<d", payload, points.NUMBER_AT + points.START_SIZE, 1.5)
    point = metrics_pb2.NumberDataPoint.FromString(bytes(payload))
    assert (point.start_time_unix_nano, point.time_unix_nano, point.as_double) == (3, 7, 1.5)
    assert attributes(point)["a"] == "1"


@pytest.mark.parametrize("kind", [Kind.HISTOGRAM, Kind.SUMMARY])
def test_distributions_may_have_a_start_time_too(kind: Kind) -> None:
    write, found = {
        Kind.HISTOGRAM: (points.histogram, metrics_pb2.HistogramDataPoint),
        Kind.SUMMARY: (points.summary, metrics_pb2.SummaryDataPoint),
    }[kind]
    shape = Distribution(LABELS, 0, 1, ((0.5, 2),), started=3)
    payload, steps = write(shape, ENCODED[kind])
    out = bytearray(payload)
    struct.pack_into("<Q", out, points.START_AT, 3)
    struct.pack_into("<Q", out, points.TIME_AT + points.START_SIZE, 7)
    struct.pack_into("<Q", out, points.COUNT_AT + points.START_SIZE, 5)
    struct.pack_into("<d", out, points.SUM_AT + points.START_SIZE, 2.5)
    struct.pack_into("<Q", out, steps[0], 4)
    point = found.FromString(bytes(out))
    assert (point.start_time_unix_nano, point.time_unix_nano) == (3, 7)
    assert (point.count, point.sum) == (5, 2.5)
    if kind is Kind.HISTOGRAM:
        assert list(point.bucket_counts) == [4, 0]
    else:
        assert point.quantile_values[0].value == struct.unpack("<d", struct.pack("<Q", 4))[0]


def test_a_point_is_the_same_series_with_a_start_time_and_without() -> None:
    for kind in points.LONE:
        one, other = (points.number(ENCODED[kind], started=started) for started in (False, True))
        assert points.identities(b"a", kind, one) == points.identities(b"a", kind, other)
        assert points.stale(kind, one, 5) == points.stale(kind, other, 5)
    for kind, write in ((Kind.HISTOGRAM, points.histogram), (Kind.SUMMARY, points.summary)):
        one, other = (
            write(Distribution(LABELS, 0, 1, ((0.5, 2),), started=started), ENCODED[kind]).payload
            for started in (None, 3)
        )
        assert points.identities(b"a", kind, one) == points.identities(b"a", kind, other)
        assert points.stale(kind, one, 5) == points.stale(kind, other, 5)


TRACE, SPAN = b"0af7651916cd43dd8448eb211c80319c", b"B7AD6B7169203331"


def test_an_exemplar_has_its_trace_and_what_else_its_labels_say() -> None:
    example = model.Exemplar(
        ((b"trace_id", TRACE), (b"k", b"v" * 200), (b"span_id", SPAN), (b"empty", b"")), 0.5, 2
    )
    found = metrics_pb2.Exemplar.FromString(points.exemplar(example))
    assert (found.trace_id.hex(), found.span_id.hex()) == (TRACE.decode(), SPAN.decode().lower())
    assert (found.as_double, found.time_unix_nano) == (0.5, 2_000_000)
    assert [(a.key, a.value.string_value) for a in found.filtered_attributes] == [("k", "v" * 200)]


@pytest.mark.parametrize(
    "identity",
    [b"", b"0" * 32, TRACE[:-1], TRACE + b"0", b"g" * 32, b"0x" + TRACE[2:], b"\xc3\xa4" * 16],
)
def test_what_is_no_trace_stays_a_label(identity: bytes) -> None:
    example = model.Exemplar(((b"trace_id", identity),), math.nan, model.UNTIMED)
    found = metrics_pb2.Exemplar.FromString(points.exemplar(example))
    assert (found.trace_id, found.time_unix_nano) == (b"", 0)
    assert [a.value.string_value.encode() for a in found.filtered_attributes] == (
        [identity] if identity else []
    )


@pytest.mark.parametrize("time", [2**63 - 1, -5])
def test_a_time_that_otlp_cannot_tell_is_not_told(time: int) -> None:
    found = points.exemplar(model.Exemplar((), 1.0, time))
    assert metrics_pb2.Exemplar.FromString(found).time_unix_nano == 0


def test_a_start_time_is_to_the_millisecond_and_never_nonsense() -> None:
    now = 1_700_000_000_500_000_000
    seconds = [
        1_700_000_000.123, 1_600_000_000.0, 0.001, 0.0, -1.0, math.nan, math.inf, -math.inf, 1e300,
        1_700_000_000.6, 1_700_000_000.5, 1_650_000_000.999_9,
    ]  # fmt: skip
    found = points.starts(np.array(seconds), np.full(len(seconds), now, np.uint64))
    assert found.tolist() == [
        1_700_000_000_123_000_000, 1_600_000_000_000_000_000, 1_000_000, 0, 0, 0, 0, 0, 0,
        0, now, 1_650_000_000_999_000_000,
    ]  # fmt: skip


@settings(max_examples=200)
@given(st.integers(1, 4_000_000_000_000))
def test_whatever_millisecond_is_written_in_seconds_is_read_again(milliseconds: int) -> None:
    written = float(f"{milliseconds // 1000}.{milliseconds % 1000:03}")
    later = np.array([2**63], np.uint64)
    assert points.starts(np.array([written]), later)[0] == milliseconds * 1_000_000
