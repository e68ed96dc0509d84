"""Points of native histograms: bytes that protobuf reads as what the histogram says."""

import pytest
from opentelemetry.proto.metrics.v1 import metrics_pb2

from agent.exposition import model, native, native_points, points
from agent.exposition.translate import Kind
from tests.agent.exposition import expositions

LABELS = ((b"a", b"1"), (b"b", b"x" * 200))


def written(histogram: model.Native, **told) -> bytes:
    kind = Kind.HISTOGRAM if histogram.schema == native.CUSTOM else Kind.EXPONENTIAL
    encoded = points.Attributes().encode(kind, LABELS)
    payload = native_points.write(encoded, histogram, time_ns=7, **told)
    assert isinstance(payload, bytes)
    return payload


def attributes(point) -> dict[str, str]:
    return {a.key: a.value.string_value for a in point.attributes}


def test_an_exponential_histogram_has_its_buckets_on_both_sides_of_zero() -> None:
    histogram = expositions.native(
        schema=-2,
        count=1010,
        positive_offset=-3,
        positive=(1, 0, 1000),
        negative_offset=6,
        negative=(8,),
        sum=-2.5,
    )
    point = metrics_pb2.ExponentialHistogramDataPoint.FromString(written(histogram))
    assert (point.scale, point.count, point.sum) == (-2, 1010, -2.5)
    assert (point.zero_count, point.zero_threshold) == (1, 1e-128)
    assert (point.positive.offset, list(point.positive.bucket_counts)) == (-4, [1, 0, 1000])
    assert (point.negative.offset, list(point.negative.bucket_counts)) == (5, [8])
    assert (point.time_unix_nano, point.start_time_unix_nano) == (7, 0)
    assert attributes(point) == {"a": "1", "b": "x" * 200}


def test_a_histogram_with_bounds_of_its_own_is_an_explicit_one() -> None:
    histogram = expositions.native(
        schema=native.CUSTOM,
        custom=(0.5, 2.5),
        zero_count=0,
        count=3,
        positive_offset=0,
        positive=(1, 2),
    )
    point = metrics_pb2.HistogramDataPoint.FromString(written(histogram))
    assert (list(point.explicit_bounds), list(point.bucket_counts)) == ([0.5, 2.5], [1, 2, 0])
    assert (point.count, point.sum, point.time_unix_nano) == (3, 5.0, 7)
    assert attributes(point)["a"] == "1"


def test_it_may_say_since_when_and_have_examples() -> None:
    example = model.Exemplar(((b"k", b"v"),), 1.5, 2)
    custom = expositions.native(
        schema=native.CUSTOM, custom=(0.5,), zero_count=0, count=3, positive_offset=0
    )
    for histogram, found in (
        (expositions.native(), metrics_pb2.ExponentialHistogramDataPoint),
        (custom, metrics_pb2.HistogramDataPoint),
    ):
        point = found.FromString(written(histogram, start_ns=5, exemplars=[example, example]))
        assert (point.start_time_unix_nano, point.time_unix_nano) == (5, 7)
        assert [e.as_double for e in point.exemplars] == [1.5, 1.5]
        assert attributes(point)["a"] == "1"


def test_without_buckets_there_are_none() -> None:
    histogram = expositions.native(count=1, positive=(), positive_offset=0)
    point = metrics_pb2.ExponentialHistogramDataPoint.FromString(written(histogram))
    assert (point.HasField("positive"), point.HasField("negative")) == (False, False)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"gauge": True}, native.Unsent.GAUGE),
        ({"count": 3}, native.Unsent.BUCKETS),
        ({"positive": (1, -1)}, native.Unsent.BUCKETS),
        ({"zero_threshold": -1.0}, native.Unsent.THRESHOLD),
    ],
)
def test_one_that_cannot_be_sent_tells_why(changes, why: native.Unsent) -> None:
    assert native_points.write(b"", expositions.native(**changes), time_ns=1) is why


def test_it_stands_for_one_series_and_can_be_marked_stale() -> None:
    payload = written(expositions.native(), start_ns=5)
    plain = points.Attributes().encode(Kind.GAUGE, LABELS)
    assert points.identities(b"h", Kind.EXPONENTIAL, payload) == [(b"h", plain)]
    marker = points.stale(Kind.EXPONENTIAL, payload, 9)
    point = metrics_pb2.ExponentialHistogramDataPoint.FromString(marker)
    assert (point.flags, point.time_unix_nano, point.start_time_unix_nano) == (1, 9, 0)
    assert attributes(point)["a"] == "1"
