"""Rules for senders of remote write 2.0: what OTLP says becomes of start times, exemplars, buckets.

From an OTLP request to a strict receiver; `test_sender_v2` has the rules of everything else.
"""

from itertools import accumulate

import pytest

from tests.conformance.remote_write.sender import (
    CUMULATIVE,
    MS,
    NOW,
    counter,
    gauge,
    histogram,
    request,
    series_told,
    summary,
    told,
)
from tests.fakes import remote_write_rules as rules

pytestmark = pytest.mark.wallclock

START = NOW - 60


def started(metric):
    """Let all points of *metric* have begun a minute ago."""
    (data,) = [value for field, value in metric.ListFields() if hasattr(value, "data_points")]
    for point in data.data_points:
        point.start_time_unix_nano = START * 10**9
    return metric


def exponential(name="h", **fields):
    """Make a cumulative exponential histogram of one point."""
    metric = gauge(name, 0)
    metric.exponential_histogram.aggregation_temporality = CUMULATIVE
    point = metric.exponential_histogram.data_points.add(
        time_unix_nano=NOW * 10**9, scale=3, sum=250.5, count=100, zero_count=10
    )
    point.positive.offset = -5
    point.positive.bucket_counts.extend([20, 0, 0, 0, 30])
    point.negative.offset = 2
    point.negative.bucket_counts.extend([40])
    for field, value in fields.items():
        setattr(point, field, value)
    return metric


def with_exemplars(metric, point):
    for n in range(2):
        exemplar = point.exemplars.add(
            as_double=0.5 + n,
            time_unix_nano=(NOW - 1 + n) * 10**9,
            trace_id=bytes(range(16)),
            span_id=bytes(range(8)),
        )
        exemplar.filtered_attributes.add(key="user").value.string_value = f"{n}"
    return metric


@pytest.mark.parametrize("known", [1, 3])
async def test_may_send_start_times_and_should_not_be_after_the_sample(known) -> None:
    metrics = [
        started(counter("c", 1)),
        started(histogram("h", [1], [1, 1], 2)),
        started(summary("s", {0.5: 1}, 1, 1)),
    ]
    writes = await told(*[request(*metrics)] * known)
    for name in ("c_total", "h_bucket", "h_count", "h_sum"):
        found = [sample for series in writes[-1].named(name) for sample in series.samples]
        assert {(sample.ms, sample.start) for sample in found} == {(MS, START * 1000)}, name


async def test_should_say_nothing_of_a_start_where_there_is_none() -> None:
    (write,) = await told(request(counter("c", 1), gauge("g", 1)))
    assert {sample.start for series in write.series for sample in series.samples} == {0}


async def test_must_send_a_native_histogram_whole() -> None:
    (series,) = await series_told(started(exponential()), name="h")
    (found,) = series.histograms
    assert (found.count_int, found.sum, found.schema, found.zero_count_int) == (100, 250.5, 3, 10)
    assert (found.timestamp, found.start_timestamp) == (MS, START * 1000)
    assert sum(accumulate(found.positive_deltas)) == 50
    assert sum(accumulate(found.negative_deltas)) == 40
    assert [span.offset for span in found.negative_spans] == [3]
    assert series.samples == ()
    assert series.metadata is not None
    assert series.metadata.kind == 3


async def test_must_send_large_counts_of_native_histograms() -> None:
    metric = exponential(count=80 + 10**9, zero_count=10**9 - 10)
    (series,) = await series_told(metric, name="h")
    assert series.histograms[0].count_int == 10**9 + 80


async def test_may_send_negative_buckets_zeros_and_nothing_else() -> None:
    metric = exponential(count=10)
    point = metric.exponential_histogram.data_points[0]
    point.ClearField("positive")
    point.ClearField("negative")
    (series,) = await series_told(metric, name="h")
    assert series.histograms[0].zero_count_int == 10


async def test_must_end_a_native_histogram_with_the_stale_marker() -> None:
    metric = exponential()
    metric.exponential_histogram.data_points[0].flags = 1
    (series,) = await series_told(metric, name="h")
    assert rules.bits(series.histograms[0].sum) == rules.STALE


async def test_may_send_exemplars_of_counters_with_all_their_labels() -> None:
    metric = counter("c", 1)
    (series,) = await series_told(with_exemplars(metric, metric.sum.data_points[0]), name="c_total")
    assert [(found.bits, found.ms) for found in series.exemplars] == [
        (rules.bits(0.5), MS - 1000),
        (rules.bits(1.5), MS),
    ]
    assert dict(series.exemplars[1].labels) == {
        "trace_id": bytes(range(16)).hex(),
        "span_id": bytes(range(8)).hex(),
        "user": "1",
    }


async def test_may_send_exemplars_of_buckets() -> None:
    metric = histogram("h", [1, 2], [1, 1, 0], 2)
    metric = with_exemplars(metric, metric.histogram.data_points[0])
    found = {
        series.get("le"): series.exemplars for series in await series_told(metric, name="h_bucket")
    }
    assert [[rules.bits(0.5)], [rules.bits(1.5)], []] == [
        [exemplar.bits for exemplar in found[bound]] for bound in ("1", "2", "+Inf")
    ]


async def test_may_send_exemplars_of_native_histograms_with_metadata() -> None:
    metric = exponential()
    metric.description = "Helps."
    metric = with_exemplars(metric, metric.exponential_histogram.data_points[0])
    (series,) = await series_told(metric, name="h")
    assert len(series.exemplars) == 2
    assert series.metadata == rules.Metadata(kind=3, help="Helps.", unit="")


async def test_exemplars_can_be_left_out() -> None:
    metric = counter("c", 1)
    metric = with_exemplars(metric, metric.sum.data_points[0])
    (series,) = await series_told(metric, name="c_total", exemplars=False)
    assert series.exemplars == ()


async def test_must_send_names_of_any_letter_where_they_are_asked_for() -> None:
    metric = gauge("http.latency µs", 1, **{"user agent": "x"})
    (write,) = await told(request(metric), utf8=True, naming="utf8")
    (series,) = write.named("http.latency µs")
    assert series.get("user agent") == "x"
