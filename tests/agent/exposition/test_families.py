"""Frames and messages of the protobuf format: taken apart in steps, or refused."""

import pytest

from agent.exposition import families
from common.wire import errors, protobuf
from tests.fakes import metric_families as made

ONE = made.family("a", made.GAUGE, made.metric({"b": "c"}, gauge=made.make("Gauge", value=1.5)))


def test_a_body_is_frames_of_families_with_metrics_that_are_still_bytes() -> None:
    body = made.body([ONE, ONE])
    size = len(body) // 2
    assert list(families.frames(body)) == [(0, 1, size), (size, size + 1, 2 * size)]
    family = families.family(body[1:size])
    assert (family.name, family.type, len(family.metric)) == (b"a", families.GAUGE, 1)
    metric = families.metric(family.metric[0])
    assert families.pairs(metric.label) == ((b"b", b"c"),)
    assert metric.gauge.value == 1.5


def test_an_empty_body_has_no_frames() -> None:
    assert list(families.frames(b"")) == []


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"\x05abc", "family at byte 0: 5 bytes announced, 3 sent"),
        (b"\x00\x80", "family at byte 1: its length is broken"),
        (b"\xff" * 10, "family at byte 0: its length is broken"),
        (b"\xff" * 9 + b"\x01", "18446744073709551615 bytes announced, 0 sent"),
    ],
)
def test_lengths_that_lie_are_refused(body: bytes, message: str) -> None:
    with pytest.raises(errors.Malformed, match=message):
        list(families.frames(body))


@pytest.mark.parametrize(
    ("read", "what"),
    [(families.family, "MetricFamily"), (families.metric, "Metric")],
)
def test_what_is_no_message_is_refused(read, what: str) -> None:
    with pytest.raises(errors.Malformed, match=f"not a {what}"):
        read(b"\x0a\x05a")
    with pytest.raises(errors.Malformed, match="not a LabelPair"):
        families.pairs([b"\x0a\x05a"])


def test_a_large_metric_of_tiny_buckets_is_refused_before_they_take_memory() -> None:
    # Two bytes each on the wire, fifty in memory.
    histogram = protobuf.framed(7, b"\x1a\x00" * 100_000)
    with pytest.raises(errors.Malformed, match=r"more than .* fields"):
        families.metric(histogram)
    buckets = [made.make("Bucket", upper_bound=n, cumulative_count=n) for n in range(10_000)]
    large = made.metric(histogram=made.make("Histogram", bucket=buckets)).SerializeToString()
    assert len(families.metric(large).histogram.bucket) == 10_000


def test_a_metric_has_a_limit_of_its_own() -> None:
    with pytest.raises(
        errors.TooLarge, match="a metric of 1048577 bytes over the limit of 1048576"
    ):
        families.metric(bytes(families.MAX_METRIC + 1))


def test_metrics_of_a_large_family_are_counted_before_they_take_memory() -> None:
    help_ = protobuf.framed(2, bytes(5 << 20)) + b"\x18\x01" + b"\x35abcd" + b"\x31abcdefgh"
    assert len(families.family(help_ + b"\x22\x00" * 3, 3).metric) == 3
    assert len(families.family(help_ + b"\x22\x00" * 4).metric) == 4
    with pytest.raises(errors.TooLarge, match="more than 3 metrics in one family"):
        families.family(help_ + b"\x22\x00" * 4, 3)
    with pytest.raises(errors.Malformed, match="wire type 7 in a MetricFamily"):
        families.family(help_ + b"\x27", 3)
    with pytest.raises(errors.Malformed, match="not a MetricFamily"):
        families.family(help_ + b"\x22\x05", 3)
